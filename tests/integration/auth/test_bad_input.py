"""What a hostile client sends gets a clear error: never a 500, a traceback, a secret, or another's session."""

import http.client
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.integration.browser import AppBrowser, lines
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location, query
from tests.servers.app import ServedApp

SESSION = "__Host-session"
ROUTES = ["/", "/login", "/callback", "/profile", "/api-call", "/logout", "/static/style.css", "/healthz/ready", "/no"]


@dataclass
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    text: str


def raw(browser: AppBrowser, method: str, target: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
    """Send what no browser and no HTTP client would."""
    connection = http.client.HTTPSConnection("localhost", browser.app.server.port, context=browser.trust, timeout=60)
    # Checks of the client's own, of targets and of headers, are not wanted here.
    connection._validate_path = lambda url: None  # type: ignore[attr-defined]
    try:
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1"))
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
        )
    finally:
        connection.close()


def is_harmless(answer: Answer) -> None:
    """No 5xx, no traceback; an error is the app's page, or the server's one line where the app is never reached."""
    assert answer.status < 500, answer
    assert "Traceback" not in answer.text
    if answer.status >= 400 and answer.headers.get("content-type", "").startswith("text/html"):
        assert f"Reference: <code>{answer.headers['x-request-id']}</code>" in answer.text


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_a_method_that_a_route_lacks_is_a_405_page_that_says_which_it_has(
    browser: AppBrowser, route: str, method: str
) -> None:
    answer = browser.request(method, route, content=b"a=b")
    if route == "/no":
        browser.failed(answer, 404, "Page not found")
        return
    browser.failed(answer, 405, "This does not work here")
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("route", ROUTES[:-1])
def test_options_says_which_methods_there_are(browser: AppBrowser, route: str) -> None:
    answer = browser.request("OPTIONS", route)
    assert answer.status_code == 200
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_head_is_a_get_without_the_body(browser: AppBrowser, route: str) -> None:
    head, get = browser.request("HEAD", route), browser.get(route)
    assert (head.status_code, head.content) == (get.status_code, b"")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("body", [b"x", b"\x00" * 70_000])
def test_a_body_on_a_get_changes_nothing(browser: AppBrowser, route: str, body: bytes) -> None:
    without, answer = browser.get(route), browser.request("GET", route, content=body)
    assert answer.status_code == without.status_code


def test_a_body_beyond_the_limit_is_a_413_page(browser: AppBrowser) -> None:
    answer = browser.request("POST", "/tests/body", content=b"x" * (1_048_576 + 1))
    browser.failed(answer, 413, "Too much at once")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil.example:8443", "localhost@evil.example", "", " ", "[::1"),
        *(
            "[::1]",
            "127.0.0.1",
            "localhost/evil",
            "localhost?x",
            "localhost#x",
            "a b",
            "\xff",
            "localhost\\evil",
            "[",
            "]",
        ),
        *("localhost,evil.example", "localhost:8443@evil.example", "evil@localhost", "localhost:abc:1"),
    ],
)
def test_a_request_for_another_host_is_refused_and_its_name_is_nowhere_in_the_answer(
    browser: AppBrowser, host: str
) -> None:
    for target in ("/", "/login", "/callback?code=a&state=b", "/guarded/page"):
        answer = raw(browser, "GET", target, {"Host": host})
        is_harmless(answer)
        assert answer.status == 400
        assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("host", ["localhost", "localhost:8443", "LOCALHOST", "localhost:1"])
def test_the_own_host_is_served_at_any_port(browser: AppBrowser, host: str) -> None:
    assert raw(browser, "GET", "/", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Prefix", "Forwarded", "X-Original-URL"],
)
def test_forwarded_headers_of_a_stranger_change_nothing(browser: AppBrowser, header: str) -> None:
    value = "for=1.2.3.4;host=evil.example;proto=http" if header == "Forwarded" else "evil.example"
    answer = browser.get("/guarded/page", headers={header: value})
    assert location(answer) == "/login?return_to=/guarded/page"
    assert browser.line_of(answer)["client"] == "127.0.0.1"


def test_a_request_id_of_a_strangers_is_not_taken_over(browser: AppBrowser) -> None:
    answer = browser.get("/", headers={"X-Request-ID": "a" * 32})
    assert answer.headers["x-request-id"] != "a" * 32


@pytest.mark.parametrize("parameter", ["state", "code", "error", "error_description", "return_to", "organization"])
@pytest.mark.parametrize("value", ["s" * 65_000, "%00" * 1000, "%ff%fe", "a&{0}=b&{0}=c", "%0d%0aSet-Cookie:%20a=b"])
def test_any_parameter_may_hold_anything(browser: AppBrowser, parameter: str, value: str) -> None:
    for route in ("/callback", "/login", "/"):
        answer = raw(browser, "GET", f"{route}?{parameter}={value.format(parameter)}", {})
        is_harmless(answer)
        assert answer.status == (400 if route == "/callback" else 302 if route == "/login" else 200)
        assert "a=b" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("backend", ["cookie"])
def test_an_age_that_a_link_may_ask_for_may_be_anything(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(make_app(AUTH0_LOGIN_PARAMETERS="max_age"))
    for max_age in ("9" * 20, "9" * 512, "\u00b2", "-1", "1e3", "soon"):
        answer = browser.get("/login", params={"max_age": max_age})
        assert (answer.status_code, query(location(answer))["max_age"]) == (302, max_age)
    # More than anybody's age is no limit.
    assert browser.sign_in_as(login=f"/login?max_age={10**11}").is_success
    assert browser.user is not None


@pytest.mark.parametrize("size", [65_536, 200_000])
def test_an_address_beyond_what_the_server_reads_is_a_400(browser: AppBrowser, size: int) -> None:
    answer = raw(browser, "GET", "/callback?state=" + "s" * size, {})
    assert (answer.status, answer.text) == (400, "Invalid HTTP request received.")


def test_thousands_of_parameters_are_no_more_than_one(browser: AppBrowser) -> None:
    query = "&".join(f"p{index}={index}" for index in range(4000))
    is_harmless(raw(browser, "GET", f"/login?{query}", {}))
    is_harmless(raw(browser, "GET", f"/callback?{query}", {}))


@pytest.mark.parametrize(
    "path",
    [
        *("//evil.example/", "/..", "/../../etc/passwd", "/static/../../../etc/passwd", "/static/%2e%2e/routes.py"),
        *("/static/..%2f..%2fetc/passwd", "/%00", "/%ff", "/profile/", "/login/", "/LOGIN"),
        *("/static/", "/static/style.css%00.png", "/static/\\..\\x", "/healthz", "/metrics", "/.env", "/a" * 5000),
        *("/%0d%0aSet-Cookie:a=b", "/profile%2f", "/;/profile", "/./profile"),
    ],
)
def test_no_path_is_more_than_a_page_that_is_not_there(browser: AppBrowser, path: str) -> None:
    answer = raw(browser, "GET", path, {})
    is_harmless(answer)
    assert answer.status in (400, 404), answer
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["//", "/static//etc/passwd", "///profile"])
def test_repeated_slashes_lead_to_no_other_host(browser: AppBrowser, path: str) -> None:
    answer = raw(browser, "GET", path, {"Host": "localhost:8443"})
    is_harmless(answer)
    target = answer.headers.get("location", "/")
    assert target.startswith(("https://localhost:8443/", "/login?return_to=/")) or target == "/"


def test_an_absolute_request_target_is_no_proxy_request(browser: AppBrowser) -> None:
    answer = raw(browser, "GET", "http://evil.example/", {"Host": "localhost"})
    is_harmless(answer)
    assert "evil" not in answer.text


Forge = Callable[[str, random.Random], str]
FORGERIES: dict[str, Forge] = {
    "one character changed": lambda value, chance: _changed(value, chance.randrange(len(value))),
    "first character changed": lambda value, chance: _changed(value, 0),
    "last character changed": lambda value, chance: _changed(value, len(value) - 2),
    "cut off": lambda value, chance: value[: chance.randrange(len(value))],
    "one more": lambda value, chance: value + "A",
    "twice": lambda value, chance: value * 2,
    "backwards": lambda value, chance: value[::-1],
    "empty": lambda value, chance: "",
    "quotes": lambda value, chance: '"' + value + '"',
    "no base64": lambda value, chance: "%%%!!!",
    "not ASCII": lambda value, chance: "\xff\xfe\xe4" * 20,
    "a number": lambda value, chance: "0",
    "oversized": lambda value, chance: "A" * 60_000,
    "a Flask cookie": lambda value, chance: "eyJ1c2VyIjoiamFuZSJ9.Zm9v.c2lnbmF0dXJl",
    "a pickle": lambda value, chance: "gASVHgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAJpZJSFlFKULg==",
}


def _changed(value: str, position: int) -> str:
    return value[:position] + ("B" if value[position] == "A" else "A") + value[position + 1 :]


def with_cookies(browser: AppBrowser, path: str, cookies: dict[str, str]) -> Answer:
    """A request with just these cookies."""
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return raw(browser, "GET", path, {"Host": "localhost:8443", "Cookie": text})


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_session_cookie_is_a_stranger(browser: AppBrowser, forgery: str) -> None:
    browser.sign_in_as()
    cookies = browser.cookies
    forged = cookies | {SESSION: FORGERIES[forgery](cookies[SESSION], random.Random(forgery))}
    if forgery == "quotes":
        # A quoted value is the same value (RFC 6265, 4.1.1).
        assert '"Jane Doe"' in with_cookies(browser, "/tests/user", cookies | {SESSION: forged[SESSION]}).text
        return
    for path, status in (("/", 200), ("/tests/user", 200), ("/profile", 303), ("/logout", 302), ("/login", 302)):
        answer = with_cookies(browser, path, forged)
        is_harmless(answer)
        assert answer.status == status, path
        assert "Jane" not in answer.text
    assert browser.user is not None, "the true cookie is as good as before"


@pytest.mark.parametrize("forgery", [forgery for forgery in FORGERIES if forgery != "quotes"])
def test_a_forged_transaction_cookie_is_an_expired_login(browser: AppBrowser, forgery: str) -> None:
    callback = browser.callback()
    [(name, value)] = browser.cookies.items()
    path = callback.removeprefix(browser.app.origin)
    answer = with_cookies(browser, path, {name: FORGERIES[forgery](value, random.Random(forgery))})
    is_harmless(answer)
    assert answer.status == 400
    assert "This sign-in is no longer valid" in answer.text
    assert name + "=;" in answer.headers["set-cookie"]


def test_cookies_that_changed_places_are_worth_nothing(browser: AppBrowser) -> None:
    first, second = browser.callback(), browser.callback()
    (name, value), (other_name, other_value) = browser.cookies.items()
    swapped = {name: other_value, other_name: value}
    for callback in (first, second):
        answer = with_cookies(browser, callback.removeprefix(browser.app.origin), swapped)
        assert (answer.status, "This sign-in is no longer valid" in answer.text) == (400, True)
    as_session = with_cookies(browser, "/tests/user", {SESSION: value})
    assert '"user":null' in as_session.text


def test_a_session_cookie_is_no_transaction(browser: AppBrowser) -> None:
    callback = browser.callback()
    [name] = browser.cookies
    browser.visit(callback)
    answer = with_cookies(browser, callback.removeprefix(browser.app.origin), {name: browser.cookies[SESSION]})
    assert answer.status == 400


def test_a_cookie_of_one_deployment_is_nothing_to_another(apps: dict[str, ServedApp], new_browser: MakeBrowser) -> None:
    browser = new_browser(apps["cookie"])
    browser.sign_in_as()
    other = new_browser(apps["redis"])
    assert '"user":null' in with_cookies(other, "/tests/user", browser.cookies).text


@pytest.mark.parametrize(
    "cookie",
    [
        *("=", ";", ";;;;", "a", "=a", f"{SESSION}", f"{SESSION}=", f"{SESSION}=a; {SESSION}=b", "\xff=\xff"),
        "; ".join(f"__Host-login.{index:032x}=forged" for index in range(300)),
        "; ".join(f"{SESSION}.{index}={'A' * 3000}" for index in range(10)),
        "; ".join(f"c{index}=v" for index in range(3000)),
    ],
)
def test_a_cookie_header_may_hold_anything(browser: AppBrowser, cookie: str) -> None:
    for path in ("/", "/login", "/callback?code=a&state=b", "/profile", "/logout"):
        answer = raw(browser, "GET", path, {"Host": "localhost", "Cookie": cookie})
        # http.client itself refuses an answer of more than a hundred headers.
        is_harmless(answer)


def test_a_refused_cookie_is_one_line_in_the_log_without_its_value(browser: AppBrowser) -> None:
    browser.sign_in_as()
    browser.set_cookie(SESSION, "forged-marked-cookie" + browser.cookies[SESSION])
    before = len(lines(browser.app.log))
    browser.get("/tests/user")
    new = [line for line in lines(browser.app.log)[before:] if "refused" in line["message"]]
    if browser.app.backend == "cookie":
        [line] = new
        assert line["level"] == "warning"
    assert "forged-marked-cookie" not in browser.app.log


def test_a_bug_in_a_page_is_a_500_page_and_the_log_alone_knows_it(apps: dict[str, ServedApp]) -> None:
    browser = AppBrowser(apps["cookie"])
    answer = browser.get("/tests/bug")
    browser.failed(answer, 500, "Something went wrong")
    assert "marked-detail-of-the-bug" not in answer.text
    reference = answer.headers["x-request-id"]
    [line] = [line for line in lines(browser.app.log) if "exception" in line and line["request_id"] == reference]
    assert "marked-detail-of-the-bug" in line["exception"]
    browser.http.close()
