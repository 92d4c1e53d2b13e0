"""What goes wrong with Redis."""

from tests.observability.incidents.place import Place, cookie_of, incident
from tests.servers.app import allow

JOHN = "john@example.com", "battery-staple"


@incident(RedisDown="page")
def redis_is_stopped(place: Place) -> None:
    """Redis ends while somebody is signed in, and is back when pages have failed for so long that it would be told."""
    redis = place.redis()
    served = place.app(redis=redis, REDIS_TIMEOUT_SECONDS="1")
    browser = place.browser(served)
    browser.sign_in_as()
    # Not so often that ten have failed, which is what the objectives' alert waits for, before Redis is seen to be down.
    place.visit(served, "/profile", cookies=cookie_of(browser))
    place.seen()
    redis.stop()
    place.watch.wait_for("RedisDown", place.namespace)
    for symptom in ("PagesFailing", "SymptomsExplained"):
        fires = f'alertname="{symptom}", alertstate="firing", namespace="{place.namespace}"'
        place.watch.prometheus.wait_for(f"ALERTS{{{fires}}}")
    redis.start()
    allow(redis)
    place.watch.wait_for("RedisDown", place.namespace, "resolved")


@incident(SessionStoreRefusing="ticket", BackchannelLogoutsLost="ticket")
def redis_is_full(place: Place) -> None:
    """It takes nothing new: who is signed in stays so, also who has signed out elsewhere; few come to sign in."""
    redis = place.redis()
    client = place.client()
    served = place.app(redis=redis, AUTH0_CLIENT_ID=client)
    place.client(backchannel_logout_uri=f"https://localhost:{served.server.port}/backchannel-logout")
    jane, john = place.browser(served), place.browser(served)
    jane.sign_in_as()
    john.sign_in_as(*JOHN)
    place.visit(served, "/profile", cookies=cookie_of(jane))
    place.seen()
    redis.client.config_set("maxmemory", 1)
    assert place.provider.knobs.end_sessions(JOHN[0]) == 1
    # Too few for an objective.
    place.sign_in(served, every=2.5, times=3)


@incident(SessionStoreSlow="ticket")
def redis_is_slow(place: Place) -> None:
    """For a fifth of a second it answers nobody, again and again: no page is slow for it."""
    redis = place.redis()
    served = place.app(redis=redis)
    browser = place.browser(served)
    browser.sign_in_as()
    for _ in range(2):
        place.visit(served, "/profile", every=0.1, cookies=cookie_of(browser))
    place.seen()
    place.again(lambda: redis.client.client_pause(200), every=0.6)
