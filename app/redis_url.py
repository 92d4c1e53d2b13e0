"""`REDIS_URL`: where Redis is, in each of the shapes that it is run in.

    redis://user:password@host:6379/0                                   one server; rediss:// over TLS
    unix://user:password@/run/redis/redis.sock?db=0                     one server on a socket
    redis+sentinel://user:password@host1:26379,host2:26379/mymaster/0   whichever server the sentinels say
    redis+cluster://user:password@host1:6379,host2:6379                 a cluster, known by some of its nodes

`rediss+sentinel` and `rediss+cluster` are TLS to all of them. The sentinels' own user and password, if they have any,
are `?sentinel_username=…&sentinel_password=…`.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

_ONE = ("redis", "rediss", "unix")
_MANY = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_PORTS = {"sentinel": 26379, "cluster": 6379}
# Nothing else: redis-py takes options from there too, `ssl_cert_reqs=none` and time limits among them, before ours.
_QUERY = {"one": ("db",), "sentinel": ("sentinel_username", "sentinel_password"), "cluster": ()}


@dataclass(frozen=True)
class RedisUrl:
    """The parts of the URL. `shape` is `one`, `sentinel` or `cluster`; for `one` only `text` and `tls` count."""

    text: str
    shape: str
    tls: bool
    hosts: tuple[tuple[str, int], ...] = ()
    username: str | None = None
    password: str | None = None
    master: str = ""
    database: int = 0
    query: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> RedisUrl:
    """Read the URL.

    :raises ValueError: it is none of these, with a sentence that does not quote it: it has the password.
    """
    scheme, separator, _rest = text.partition("://")
    if not separator or scheme not in _ONE + _MANY:
        raise ValueError("must start with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
    shape = scheme.partition("+")[2] or "one"
    try:
        url = urlsplit(text)
        query = {name: values[-1] for name, values in parse_qs(url.query, strict_parsing=bool(url.query)).items()}
    except ValueError:
        raise ValueError("is not a URL") from None
    if set(query) - set(_QUERY[shape]):
        raise ValueError("has a parameter that is not known")
    if shape == "one":
        return RedisUrl(text, shape, tls=scheme == "rediss")
    user, _, addresses = url.netloc.rpartition("@")
    username, _, password = user.partition(":")
    master, _, database = url.path.strip("/").partition("/")
    if shape == "cluster":
        if url.path.strip("/") not in ("", "0"):
            raise ValueError("has a database, which a cluster has not")
        master = ""
    elif not master:
        raise ValueError("does not name the master, as redis+sentinel://host:26379/mymaster does")
    if not database.isdecimal() and database:
        raise ValueError("has a database that is not a number")
    return RedisUrl(
        text,
        shape,
        tls=scheme.startswith("rediss"),
        hosts=tuple(_address(address, _PORTS[shape]) for address in addresses.split(",")),
        username=unquote(username) or None,
        password=unquote(password) or None,
        master=unquote(master),
        database=int(database or 0),
        query=query,
    )


def _address(text: str, port: int) -> tuple[str, int]:
    try:
        address = urlsplit(f"//{text}")
        found = address.port
    except ValueError:
        raise ValueError("has a port that is not between 0 and 65535") from None
    if not address.hostname:
        raise ValueError("has a host without a name")
    return address.hostname, found if found is not None else port
