"""A provider whose token endpoint answers what a test says, right or wrong: `with answering(ca) as provider: ...`."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from scripts.certificates import CA
from tests.servers.listening import listening


@dataclass
class Answering:
    """A running one. `answer` is its token endpoint's, as JSON unless it is bytes; `asked` are the forms it got.

    `failing` are the paths that it answers with 503.
    """

    server: ThreadingHTTPServer
    client_id: str = ""
    answer: Any = None
    asked: list[dict[str, str]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)

    @property
    def domain(self) -> str:
        """Host and port, which is what AUTH0_DOMAIN is set to."""
        return f"localhost:{self.server.server_port}"

    @property
    def issuer(self) -> str:
        """What it calls itself."""
        return f"https://{self.domain}/"

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """What it signs with."""
        return rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    def id_token(self, **changes: Any) -> str:
        """An ID token for `client_id`, signed; a claim that is None is left out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "auth0|Jane", "aud": self.client_id, "iat": now, "exp": now + 60}
        kept = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(kept, self.key, "RS256", {"kid": "one"})

    def document(self, path: str) -> Any:
        """What it answers to a GET of *path*."""
        if path == "/.well-known/openid-configuration":
            at = {"jwks_uri": "jwks", "token_endpoint": "token", "authorization_endpoint": "authorize"}
            return {"issuer": self.issuer} | {name: f"{self.issuer}{where}" for name, where in at.items()}
        return {"keys": [{**jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "one"}]}


@contextmanager
def answering(ca: CA) -> Iterator[Answering]:
    """Run one on a free port of localhost, with a certificate of *ca*."""

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        def do_GET(self) -> None:
            self._send(running.document(self.path))

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["content-length"])).decode()
            running.asked.append(dict(parse_qsl(form)))
            self._send(running.answer)

        def _send(self, answer: Any) -> None:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(503 if self.path in running.failing else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nobody reads it."""

    with listening(Handler, ca.issue()) as server:
        running = Answering(server)
        yield running
