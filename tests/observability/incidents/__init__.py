"""What goes wrong in a real run of the app, and which alert has to come of it."""

from tests.observability.incidents import front, keys, logins, ordinary, server, store
from tests.observability.incidents.place import Incident

# Those first whose alert waits longest.
ALL: list[Incident] = [
    logins.a_callback_url_that_was_taken_away,
    store.redis_is_slow,
    keys.a_rotation_that_reaches_one_of_two,
    server.a_page_that_keeps_the_only_thread,
    store.redis_is_full,
    server.one_request_too_many,
    store.redis_is_stopped,
    logins.the_provider_is_slow,
    server.a_page_that_blocks_the_loop,
    ordinary.a_good_day,
    keys.a_new_key_without_the_old_one,
    keys.a_secret_that_is_too_short,
    server.one_of_two_is_gone,
    server.a_worker_is_killed_again_and_again,
    logins.a_session_that_is_used_in_two_places,
    logins.a_mistyped_client_secret,
    logins.the_provider_is_down,
    server.the_app_is_gone,
    server.a_bug,
    server.a_slow_page,
    front.a_certificate_that_nobody_renewed,
    front.nginx_is_stopped,
]
