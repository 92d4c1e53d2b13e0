"""What others can do who have a host in the app's domain, or a port on its host: they share cookies, up to a point."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.browser.site import Site
from tests.servers.chromium import HOSTS

People = Callable[..., Person]
SESSION = "__Host-session"


def test_a_neighbour_in_the_domain_can_plant_no_cookie_that_the_app_takes(
    public_app: App, people: People, elsewhere: Site
) -> None:
    attacker, victim = people(public_app), people(public_app)
    attacker.sign_in("/profile", username="john@example.com", password="battery-staple")
    session = {name: cookie["value"] for name, cookie in attacker.cookies().items()}
    first = session[SESSION]
    script = "".join(
        f"document.cookie = '{name}={value}; Path={path}; Secure{domain}';"
        for name, value in (*session.items(), ("__host-session", first), ("session", first), (f"{SESSION}.1", first))
        for path in ("/", "/profile")
        for domain in ("; Domain=example.test", "; Domain=.example.test", "")
    )
    context: BrowserContext = victim.context
    page = victim.visit(elsewhere, HOSTS[1], f"<script>{script}</script>")
    assert page.evaluate("document.cookie")
    # What reached the app's host has no prefix, which the app does not know.
    assert not [
        cookie for cookie in context.cookies(public_app.origin) if str(cookie.get("name")).startswith("__Host-")
    ]
    victim.open("/profile")
    expect(victim.page.get_by_role("heading", level=1)).to_have_text("Sign in")

    victim.sign_in("/profile")
    expect(victim.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    victim.visit(elsewhere, HOSTS[1], f"<script>{script}</script>")
    assert victim.is_signed_in()


def test_another_port_of_the_same_host_may_replace_the_session_but_not_join_it(
    app: App, people: People, elsewhere: Site
) -> None:
    """Cookies know no ports (RFC 6265, 8.5): whoever listens on another port of the host shares them.

    So nobody else's program belongs on the app's host. What is left to the app: the session that begins with the
    sign-in is not the one that was planted.
    """
    attacker, victim = people(app), people(app)
    attacker.open("/test/keep?size=64")
    planted = attacker.cookies()[SESSION]["value"]
    for name, cookie in attacker.cookies().items():
        line = f"{name}={cookie['value']}; Path=/; Secure; HttpOnly; SameSite=Lax"
        elsewhere.show("/", "", Set_Cookie=line)
        victim.page.goto(elsewhere.at("localhost"))
    assert victim.cookies()[SESSION]["value"] == planted

    victim.sign_in("/profile")
    assert victim.cookies()[SESSION]["value"] != planted
    attacker.open("/profile")
    expect(attacker.page.get_by_role("heading", level=1)).to_have_text("Sign in")
