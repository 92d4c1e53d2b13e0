"""Nobody is signed in without the password: no route, parameter, header or knob does it."""

import re

import httpx
import pytest

from tests.integration.identity.browser import Browser, form_of, query
from tests.integration.identity.protocol import RelyingParty
from tests.servers.identity import CONFIGURATION, FOLDER, IdentityProvider

JANE = CONFIGURATION["users"][0]["user_id"]


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider)


def assert_nobody_is_signed_in(party: RelyingParty, browser: Browser) -> None:
    response = browser.open(party.authorize(prompt="none"))
    assert query(response.headers["location"])["error"] == "login_required"


def interaction_of(page: httpx.Response) -> str:
    match = re.search(r"/u/login/([\w-]+)$", str(page.url))
    assert match
    return match[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"action": ""},
        # The library's development forms take these and ask for no password.
        {"prompt": "login", "login": JANE, "password": ""},
        {"prompt": "login", "login": JANE},
        {"accountId": JANE},
        {"username": "jane@example.com"},
        {"username": "jane@example.com", "password": ""},
        {"username": JANE, "password": "correct-horse"},
        {"username": "jane@example.com", "password": "undefined"},
        {"username": "__proto__", "password": ""},
        {"username": "jane@example.com", "password": "correct-horse\0"},
        {"action": "continue", "login[accountId]": JANE},
    ],
)
def test_the_form_takes_nothing_but_the_password(party: RelyingParty, browser: Browser, fields: dict[str, str]) -> None:
    page = browser.open(party.authorize())
    answer = browser.http.post(str(page.url), data=fields)

    assert answer.status_code == 400
    assert form_of(answer).forms == 1
    assert_nobody_is_signed_in(party, browser)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_the_form_takes_no_other_kind_of_body(party: RelyingParty, browser: Browser, content_type: str) -> None:
    page = browser.open(party.authorize())
    body = '{"username": "jane@example.com", "password": "correct-horse"}'
    answer = browser.http.post(str(page.url), content=body, headers={"content-type": content_type})

    assert answer.status_code == 415
    assert_nobody_is_signed_in(party, browser)


def test_the_form_takes_no_endless_body(party: RelyingParty, browser: Browser) -> None:
    page = browser.open(party.authorize())

    assert browser.http.post(str(page.url), data={"username": "x" * 20_000}).status_code == 413


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/interaction/{uid}",
        "/interaction/{uid}/login",
        "/interaction/{uid}/abort",
        "/u/consent/{uid}",
        "/u/login/{uid}/",
        "/u/login/other",
        "/authorize/{uid}",
        "/device",
        "/device/auth",
        "/reg",
        "/oidc/register",
        "/session/end",
        "/backchannel",
        "/dbconnections/signup",
        "/passwordless/start",
        "/co/authenticate",
        "/oauth/token/introspection",
        "/bc-authorize",
        "/login/callback",
    ],
)
def test_the_librarys_and_auth0s_other_doors_are_not_there(
    party: RelyingParty, browser: Browser, method: str, path: str
) -> None:
    page = browser.open(party.authorize())
    target = f"{browser.origin}{path.format(uid=interaction_of(page))}"
    fields = {"prompt": "login", "login": JANE, "accountId": JANE, "username": "jane@example.com"}
    browser.http.request(method, target, data=fields if method == "POST" else None)

    assert_nobody_is_signed_in(party, browser)


@pytest.mark.parametrize(
    "parameters",
    [
        {"login": JANE},
        {"accountId": JANE},
        {"username": "jane@example.com", "password": "correct-horse"},
        {"login_hint": "jane@example.com"},
        {"login_hint": JANE, "prompt": "none"},
        {"id_token_hint": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJqYW5lIn0."},
        {"session_token": "x"},
        {"claims": f'{{"id_token": {{"sub": {{"value": "{JANE}"}}}}}}'},
        {"prompt": "consent"},
        {"prompt": "create"},
        {"response_type": "id_token", "nonce": "n"},
        {"response_type": "code id_token", "nonce": "n"},
        {"response_type": "none"},
        {"response_type": "token"},
        {"request": "eyJhbGciOiJub25lIn0.e30."},
        {"screen_hint": "signup"},
        {"connection": "Username-Password-Authentication"},
        {"organization": "acme", "invitation": "invitation-for-john"},
    ],
)
def test_no_parameter_of_authorize_signs_in(party: RelyingParty, browser: Browser, parameters: dict[str, str]) -> None:
    response = browser.open(party.authorize(**parameters))

    assert "code=" not in response.headers.get("location", "")
    assert "id_token=" not in response.headers.get("location", "")
    assert_nobody_is_signed_in(party, browser)


def test_no_header_signs_in(party: RelyingParty, browser: Browser) -> None:
    headers = {
        "authorization": "Basic amFuZUBleGFtcGxlLmNvbTpjb3JyZWN0LWhvcnNl",
        "x-forwarded-user": "jane@example.com",
        "x-remote-user": "jane@example.com",
        "cookie": f"__Host-identity-session={JANE}; _session={JANE}; __Secure-identity-interaction={JANE}",
    }
    response = browser.http.get(f"{browser.origin}{party.authorize(prompt='none')}", headers=headers)

    assert query(response.headers["location"])["error"] == "login_required"


def test_an_unfinished_interaction_cannot_be_resumed(party: RelyingParty, browser: Browser) -> None:
    page = browser.open(party.authorize())
    response = browser.open(f"/authorize/{interaction_of(page)}")

    # The library asks again, from the beginning.
    assert "code=" not in response.headers.get("location", "")
    assert_nobody_is_signed_in(party, browser)


def test_no_knob_signs_in(party: RelyingParty, browser: Browser, provider: IdentityProvider) -> None:
    bodies = re.findall(
        r"^\| `([A-Z]+) (/[\w-]+)` \| (?:`(.*?)`)? ?\|", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    assert len(bodies) > 8
    page = browser.open(party.authorize())
    for method, path, body in bodies:
        if path in {"/delay", "/clients"}:
            continue  # these only slow down, and change a redirect address
        headers = {"content-type": "application/json"}
        provider.knobs._http.request(method, path, content=body, headers=headers).raise_for_status()
    provider.knobs.reset()

    assert form_of(browser.open(str(page.url))).forms == 1
    assert_nobody_is_signed_in(party, browser)


def test_cookies_are_secure_out_of_reach_of_scripts_and_of_other_sites(party: RelyingParty, browser: Browser) -> None:
    start = browser.http.get(f"{browser.origin}{party.authorize()}")
    page = browser.open(start.headers["location"])
    finish = browser.http.post(str(page.url), data={"username": "jane@example.com", "password": "correct-horse"})
    finish = browser.http.get(finish.headers["location"])
    cookies = [*start.headers.get_list("set-cookie"), *finish.headers.get_list("set-cookie")]

    assert {cookie.split("=")[0] for cookie in cookies} == {
        "__Secure-identity-interaction",
        "__Secure-identity-resume",
        "__Host-identity-session",
    }
    for cookie in cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite=lax"} <= attributes
        if cookie.startswith("__Host-"):
            assert "path=/" in attributes


def test_the_session_has_a_new_identifier_after_each_sign_in(party: RelyingParty, browser: Browser) -> None:
    def session() -> str | None:
        return browser.http.cookies.get("__Host-identity-session")

    party.sign_in(browser)
    first = session()
    page = browser.open(party.authorize(prompt="login"))
    browser.submit(page, username="jane@example.com", password="correct-horse")

    assert first
    assert session() != first
    with Browser(browser.origin, str(party.provider.ca.path)) as thief:
        thief.http.headers["cookie"] = f"__Host-identity-session={first}"
        assert_nobody_is_signed_in(party, thief)
