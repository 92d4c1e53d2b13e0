"""Where the server's classes take a shorter way than Flask and werkzeug, they come to the same."""

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask import Flask, redirect
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.test import EnvironBuilder

from app.server import LoopFlask
from app.server.wrappers import Request, Response

OURS = LoopFlask("ours", static_folder=None)
# What a header or a path may bring, as PEP 3333 has it.
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
HOSTS = st.sampled_from(["localhost", "LOCALHOST:8443", "a.example:443", "a.example:80", "[::1]:80", "bücher.example"])


def adapter(app: Flask, environ: dict[str, Any]) -> Any:
    """What routes are matched with, and the request's host; or the error."""
    request = app.request_class(dict(environ))
    try:
        found = Flask.create_url_adapter(app, request) if app is not OURS else app.create_url_adapter(request)
    except HTTPException as error:
        return type(error)
    assert found is not None
    return {name: value for name, value in vars(found).items() if name != "map"}, request.host


@given(
    host=HOSTS | LATIN | st.just("a" * 70) | st.just("a:99999"),
    path=LATIN.map("/{}".format),
    query=LATIN,
    scheme=st.sampled_from(["http", "https"]),
    upgrade=st.booleans(),
    script=st.sampled_from(["", "/app"]),
)
def test_routes_are_matched_with_the_same(
    *, host: str, path: str, query: str, scheme: str, upgrade: bool, script: str
) -> None:
    environ = EnvironBuilder(method="GET").get_environ()
    environ.update({"HTTP_HOST": host, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.url_scheme": scheme})
    environ.update({"SCRIPT_NAME": script})
    if upgrade:
        environ.update({"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "upgrade"})
    # Twice: what is kept from the first time is not what is left over from it.
    for _ in range(2):
        assert adapter(OURS, environ) == adapter(LoopFlask("theirs", static_folder=None), environ)


@pytest.mark.parametrize("name", ["SERVER_NAME", "TRUSTED_HOSTS"])
def test_settings_about_hosts_are_flasks_to_follow(name: str) -> None:
    app = LoopFlask("configured", static_folder=None)
    app.config[name] = "own.example" if name == "SERVER_NAME" else ["own.example"]
    with app.test_request_context("/", base_url="http://other.example") as context:
        refused = context.request.routing_exception is not None
        assert (context.url_adapter is None) == (name == "TRUSTED_HOSTS")
    assert refused


def test_hosts_that_the_request_class_trusts_are_werkzeugs_to_check() -> None:
    app = LoopFlask("configured", static_folder=None)
    app.request_class = type("Trusting", (Request,), {"trusted_hosts": ["own.example"]})
    environ = EnvironBuilder(base_url="http://other.example").get_environ()
    assert adapter(app, environ) is SecurityError
    with app.test_request_context("/", base_url="http://other.example") as context:
        assert isinstance(context.request.routing_exception, SecurityError)


@given(st.one_of(LATIN, st.text(st.sampled_from('ab =;,"\\\xe9\t'), max_size=30)))
def test_cookies_are_the_same(header: str) -> None:
    environ = EnvironBuilder().get_environ() | {"HTTP_COOKIE": header}
    ours, theirs = Request(environ).cookies, flask.Request(environ).cookies
    assert (type(ours), list(ours.items(multi=True))) == (type(theirs), list(theirs.items(multi=True)))


def test_no_cookies_are_none() -> None:
    assert dict(Request(EnvironBuilder().get_environ()).cookies) == {}


class Streamed:
    """A body that is not there in full."""

    def __iter__(self) -> Iterator[str]:
        yield from ("a", "b")


def sent(response: flask.Response, method: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """What a response gives to the server."""
    environ = EnvironBuilder(method=method, base_url="https://a.example/").get_environ()
    body, status, headers = response.get_wsgi_response(environ)
    return status, headers, b"".join(body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"response": "päge"},
        {"response": b"bytes", "status": 404},
        {"response": "x", "headers": {"Content-Type": "text/csv", "X": "y"}},
        {"response": "x", "headers": [("X", "y")]},
        {"response": "x", "mimetype": "application/json"},
        {"response": "x", "content_type": "text/plain"},
        {"response": "x", "status": "299 Odd"},
        {"response": ["a", "b"]},
        {"response": Streamed()},
        {"response": "gone", "status": 204},
        {"response": "same", "status": 304, "headers": {"Content-Type": "text/css", "ETag": '"1"'}},
        {"response": "", "status": 303, "headers": {"Location": "/ü?a=b"}},
        {"response": "x", "headers": {"Content-Location": "/ü"}},
    ],
    ids=str,
)
def test_a_response_is_sent_as_werkzeug_sends_it(arguments: dict[str, Any], method: str) -> None:
    assert sent(Response(**arguments), method) == sent(flask.Response(**arguments), method)


def test_a_redirect_is_sent_as_werkzeug_sends_it() -> None:
    assert sent(redirect("/next", Response=Response), "GET") == sent(redirect("/next", Response=flask.Response), "GET")
