"""A client for Redis as `REDIS_URL` describes it: one server, whichever one the sentinels name, or a cluster."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app import redis_url

from .redis_py import (
    ClusterNode,
    ExponentialWithJitterBackoff,
    Redis,
    RedisCluster,
    RedisConnectionError,
    Retry,
)
from .sentinels import Sentinels

CONNECTIONS = 4
"""How many are kept at most, to each server."""

_RETRIES = 3
_CLOSE_SECONDS = 10.0


@dataclass(frozen=True)
class Connection:
    """How to connect. *timeout* is in seconds, the others are paths of PEM files; the URL has the password."""

    url: str
    timeout: float
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None

    def client(self) -> "Redis | RedisCluster":
        """Make a client; it connects when it is used."""
        url = redis_url.parse(self.url)
        shapes: dict[str, Callable[[redis_url.RedisUrl], Redis | RedisCluster]]
        shapes = {"one": self._one, "sentinel": self._sentinel, "cluster": self._cluster}
        client = shapes[url.shape](url)
        # What Redis answers, and nothing made of it: `SET … GET` would read as true or false.
        for command in ("SET", "INFO"):
            client.response_callbacks.pop(command, None)
        return client

    def _one(self, url: redis_url.RedisUrl) -> Redis:
        client: Redis = Redis.from_url(url.text, max_connections=CONNECTIONS, **self._options(), **self._tls(url))
        return client

    def _sentinel(self, url: redis_url.RedisUrl) -> Redis:
        tls: dict[str, Any] = {"ssl": url.tls, **self._tls(url)}
        own = {name.removeprefix("sentinel_"): value for name, value in url.query.items()}
        sentinel = Sentinels(url.hosts, sentinel_kwargs={**self._options(), **own, **tls})  # type: ignore[no-untyped-call]
        options: dict[str, Any] = {**self._options(), **tls, "max_connections": CONNECTIONS}
        client: Redis = sentinel.master_for(
            url.master, username=url.username, password=url.password, db=url.database, **options
        )
        return client

    def _cluster(self, url: redis_url.RedisUrl) -> RedisCluster:
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in url.hosts],
            username=url.username,
            password=url.password,
            max_connections=CONNECTIONS,
            ssl=url.tls,
            **self._options(),
            **self._tls(url),
        )

    def _options(self) -> dict[str, Any]:
        return {
            # It would set a timer for each answer of a pipeline, and make a task of each write: `RedisStore` limits all
            # of a batch together.
            "socket_timeout": None,
            # For the same reason; what redis-py closes has this long for it.
            "socket_connect_timeout": _CLOSE_SECONDS,
            # For a connection that Redis closed while it was idle, and for a server that is being replaced; spread, so
            # that not all workers come back in the same moment. What is slow is not tried again: the time is over.
            "retry": Retry(
                ExponentialWithJitterBackoff(cap=self.timeout / 4, base=self.timeout / 25),
                _RETRIES,
                supported_errors=(RedisConnectionError,),
            ),
        }

    def _tls(self, url: redis_url.RedisUrl) -> dict[str, Any]:
        if not url.tls:
            return {}
        files = {"ssl_ca_certs": self.tls_ca, "ssl_certfile": self.tls_certificate, "ssl_keyfile": self.tls_key}
        given = {name: path for name, path in files.items() if path is not None}
        return {"ssl_check_hostname": True, "ssl_min_version": ssl.TLSVersion.TLSv1_2, **given}
