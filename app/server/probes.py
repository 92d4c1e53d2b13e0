"""Health for those who cannot open the app's socket: the master asks a worker and passes its answer on.

An orchestrator probes over TCP, but the app may listen on a unix socket, for the proxy alone. So the master, which has
the port of the metrics, answers there for `/healthz/` too. It asks at the app's own address, through accept queue,
event loop and routes: what it hears is what the proxy would.
"""

import http.client
import json
import ssl
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from socket import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/healthz/"
# Below what a probe should be given, so that it learns the reason.
PATIENCE_SECONDS = 2.5


class Probes:
    """WSGI middleware around the metrics: GET below `/healthz/` is a worker's to answer.

    :param listeners: the sockets that the workers accept on at this moment; none once the stop has begun.
    :param tls: whether they speak TLS.
    """

    def __init__(self, app: "WSGIApplication", listeners: Callable[[], Sequence[socket]], *, tls: bool) -> None:
        self._app = app
        self._listeners = listeners
        self._tls = tls

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer 200, or 503 with the reason."""
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return self._app(environ, start_response)
        status, body = self._health(path)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]

    def _health(self, path: str) -> tuple[int, bytes]:
        listeners = self._listeners()
        if not listeners:
            return _said(503, "stopping")
        try:
            status, overloaded, body = self._ask(listeners[0], path)
        except UnicodeEncodeError:
            return _said(404, "unknown")
        except (OSError, http.client.HTTPException) as error:
            return _said(503, f"no worker answers: {error or type(error).__name__}")
        if overloaded:
            # Alive, and answers at once; taken out of service, it would put its share on the others.
            return _said(200, "overloaded")
        return status, body

    def _ask(self, listener: socket, path: str) -> tuple[int, bool, bytes]:
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_SECONDS)
        connection.sock = self._connected(listener)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            overloaded = response.status == HTTPStatus.SERVICE_UNAVAILABLE and bool(response.getheader("Retry-After"))
            return response.status, overloaded, response.read()
        finally:
            connection.close()

    def _connected(self, listener: socket) -> Any:
        # http.client knows host names only, so the socket is made here.
        connected = socket(listener.family, listener.type)
        try:
            connected.settimeout(PATIENCE_SECONDS)
            connected.connect(listener.getsockname())
            return _itself().wrap_socket(connected) if self._tls else connected
        except BaseException:
            connected.close()
            raise


def _itself() -> ssl.SSLContext:
    # The other end is this process's own child, and its certificate is for a name from outside.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _said(status: int, text: str) -> tuple[int, bytes]:
    return status, json.dumps({"status": text}).encode() + b"\n"
