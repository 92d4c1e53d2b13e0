"""What goes wrong between the app and the identity provider."""

from tests.integration.identity.browser import location
from tests.observability.incidents.place import Place, cookie_of, incident
from tests.servers.identity import identity


@incident(ProviderFailing="page")
def the_provider_is_down(place: Place) -> None:
    """The identity provider ends; people want to sign in, and those who look at pages notice nothing."""
    provider = place.stack.enter_context(identity(place.provider.ca))
    served = place.app(provider=provider)
    place.visit(served, "/")
    place.seen()
    provider.process.kill()
    provider.process.wait()
    place.visit(served, "/login", every=0.1)


@incident(LoginsSlow="page")
def the_provider_is_slow(place: Place) -> None:
    """It takes three seconds for the exchange of a code."""
    provider = place.stack.enter_context(identity(place.provider.ca))
    served = place.app(provider=provider)
    place.visit(served, "/")
    place.seen()
    provider.knobs.delay("/oauth/token", 3)
    for _ in range(5):
        place.sign_in(served)


@incident(LoginsFailing="page")
def a_mistyped_client_secret(place: Place) -> None:
    """A deployment has another secret than the provider: people sign in there, and not here."""
    served = place.app(AUTH0_CLIENT_SECRET="mistyped-secret-of-the-client")
    place.visit(served, "/")
    place.seen()
    for _ in range(2):
        place.sign_in(served)


@incident(LoginsNotCompleted="page")
def a_callback_url_that_was_taken_away(place: Place) -> None:
    """People sign in; then the provider does not send anybody back any more, and they try again."""
    client = place.client()
    served = place.app(AUTH0_CLIENT_ID=client)
    place.seen()
    place.sign_in(served, every=0.1, times=3)
    place.watch.prometheus.wait_for(f'auth_logins_completed_total{{namespace="{place.namespace}"}} == 3')
    place.client(redirect_uris=["https://other.example.com/callback"])
    browser = place.browser(served)
    refused = browser.open(location(browser.get("/login")))
    assert refused.status_code == 400, refused.text
    place.visit(served, "/login")


@incident(RefreshTokensReused="ticket")
def a_session_that_is_used_in_two_places(place: Place) -> None:
    """Somebody has a copy of a session's cookie and takes it to another fleet: both renew what is for one."""
    offline = "openid profile email offline_access"
    client = place.client()
    served = [place.app(AUTH0_CLIENT_ID=client, AUTH0_SCOPE=offline) for _ in range(2)]
    for each in served:
        place.visit(each, "/")
    # What is good for less than a minute is renewed.
    place.provider.knobs.access_token_lifetime(30)
    browser = place.browser(served[0])
    browser.sign_in_as()
    place.seen()
    for each in served:
        place.visit(each, "/tests/token", cookies=cookie_of(browser))
