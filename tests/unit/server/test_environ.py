"""A request as PEP 3333 has it."""

from typing import Any

import pytest
from flask import request

from app.server.body import Body
from app.server.environ import BadScope, environ_of
from tests.unit.server.client import make, on_a_loop, served

HOST = (b"host", b"example.com")


def environ(headers: Any = (), **scope: Any) -> dict[str, Any]:
    scope = {
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [HOST, *headers],
        "client": ("192.0.2.7", 1234),
        "server": ("192.0.2.1", 8000),
        **scope,
    }
    return environ_of(scope, Body(lambda: None))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("raw_path", "path_info"),
    [
        (b"/plain", "/plain"),
        (b"/caf%C3%A9", "/caf\xc3\xa9"),
        (b"/%ff%fe", "/\xff\xfe"),
        (b"/a%2Fb%25", "/a/b%"),
        (b"/a%zz", "/a%zz"),
        (b"/a%0d%0ab", "/a\r\nb"),
        (b"//twice", "//twice"),
    ],
)
def test_the_path_is_the_percent_decoded_bytes_as_latin_1(raw_path: bytes, path_info: str) -> None:
    assert environ(raw_path=raw_path)["PATH_INFO"] == path_info


def test_without_a_raw_path_the_decoded_one_is_used() -> None:
    assert environ(raw_path=None, path="/café")["PATH_INFO"] == "/caf\xc3\xa9"


def test_a_mount_point_is_taken_off_the_path() -> None:
    mounted = environ(root_path="/café", raw_path=b"/caf%C3%A9/page", path="/café/page")
    assert (mounted["SCRIPT_NAME"], mounted["PATH_INFO"]) == ("/caf\xc3\xa9", "/page")


@on_a_loop
async def test_a_path_that_is_not_utf_8_gets_an_answer() -> None:
    flask = make()

    @flask.get("/<path:name>")
    async def view(name: str) -> str:
        return ascii(name)

    async with served(flask) as client:
        assert (await client.get("/caf%C3%A9")).text == "'caf\\xe9'"
        assert (await client.get("/%ff")).text == "'\\ufffd'"


def test_headers_become_keys() -> None:
    made = environ([(b"content-type", b"text/plain"), (b"content-length", b"3"), (b"x-custom", b"\xe9")])
    assert made["CONTENT_TYPE"] == "text/plain"
    assert made["CONTENT_LENGTH"] == "3"
    assert made["HTTP_X_CUSTOM"] == "\xe9"
    assert made["HTTP_HOST"] == "example.com"
    assert "HTTP_CONTENT_TYPE" not in made


def test_repeated_headers_are_joined_and_cookies_in_their_own_way() -> None:
    made = environ([(b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"a=1"), (b"cookie", b"b=2")])
    assert made["HTTP_ACCEPT"] == "a,b"
    assert made["HTTP_COOKIE"] == "a=1; b=2"


def test_a_header_with_an_underscore_cannot_pose_as_one_with_a_hyphen() -> None:
    made = environ([(b"x_forwarded_for", b"127.0.0.1"), (b"content_length", b"7")])
    assert "HTTP_X_FORWARDED_FOR" not in made
    assert "CONTENT_LENGTH" not in made


def test_a_request_for_several_hosts_is_a_bad_one() -> None:
    with pytest.raises(BadScope, match="several Host headers"):
        environ([HOST])


def test_a_request_of_http_1_1_for_no_host_is_a_bad_one() -> None:
    with pytest.raises(BadScope, match="no Host header"):
        environ_without_host("1.1")


def environ_without_host(version: str) -> dict[str, Any]:
    scope = {"http_version": version, "method": "GET", "path": "/", "query_string": b"", "headers": []}
    return environ_of(scope, Body(lambda: None))  # type: ignore[arg-type, return-value]


def test_http_1_0_needs_no_host() -> None:
    made = environ_without_host("1.0")
    assert (made["SERVER_NAME"], made["SERVER_PORT"], made["SERVER_PROTOCOL"]) == ("localhost", "80", "HTTP/1.0")


@on_a_loop
async def test_a_bad_request_is_answered_with_400_and_never_reaches_the_app() -> None:
    flask = make()
    flask.before_request(lambda: pytest.fail("reached"))
    async with served(flask) as client:
        response = await client.get("/", [HOST])
        assert (response.status, response.text) == (400, "Bad Request: several Host headers")
        assert response.header("connection") == "close"


def test_a_unix_socket_has_neither_port_nor_client_address() -> None:
    made = environ(server=("/run/app.sock", None), client=None, scheme="https")
    assert (made["SERVER_NAME"], made["SERVER_PORT"]) == ("localhost", "443")
    assert "REMOTE_ADDR" not in made
    assert "REMOTE_ADDR" not in environ(client=("", 0))


def test_the_client_and_the_server_are_there() -> None:
    made = environ(query_string=b"a=%C3%A9&b")
    assert (made["REMOTE_ADDR"], made["REMOTE_PORT"]) == ("192.0.2.7", "1234")
    assert (made["SERVER_NAME"], made["SERVER_PORT"]) == ("192.0.2.1", "8000")
    assert made["QUERY_STRING"] == "a=%C3%A9&b"
    assert made["wsgi.input_terminated"] is True


def test_one_requests_environment_is_not_anothers() -> None:
    environ()["mine"] = 1
    assert "mine" not in environ()


@on_a_loop
async def test_flask_sees_what_was_sent() -> None:
    flask = make()

    @flask.get("/page")
    async def view() -> dict[str, Any]:
        return {"url": request.url, "cookies": request.cookies, "remote": request.remote_addr}

    async with served(flask) as client:
        response = await client.get("/page?q=1", [(b"cookie", b"a=1"), (b"cookie", b"b=2")], scheme="https")
    assert response.text.strip().replace(" ", "") == (
        '{"cookies":{"a":"1","b":"2"},"remote":"127.0.0.1","url":"https://localhost/page?q=1"}'
    )
