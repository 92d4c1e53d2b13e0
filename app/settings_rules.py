"""What a value must be, one function a rule. Each raises ValueError with the rest of a sentence that begins with the
variable's name; no sentence quotes a secret.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from . import redis_url as redis_url_

CALLBACK_PATH = "/callback"
SECRET_MINIMUM = 32
RSA_MINIMUM = 2048
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# The protocol's own parameters (OpenID Connect Core 3.1.2.1, RFC 7636): a link that could set them would undo the
# login's protection or widen what a token may do.
PROTOCOL_PARAMETERS = frozenset(
    (
        *("audience", "client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "request"),
        *("request_uri", "response_mode", "response_type", "scope", "state"),
    )
)
# RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_./-]{1,255}")
_DOMAIN = re.compile(
    r"(?=.{1,253}(:|$))([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:[0-9]{1,5})?"
)


def bare_domain(value: str) -> str:
    """A host name, with a port if need be, in lower case: `tenant.us.auth0.com`, `localhost:9443`."""
    if "://" in value:
        raise ValueError(f"is a URL, but must be the bare domain: write {_split(value).netloc or 'the domain'!r}")
    if not _DOMAIN.fullmatch(value.lower()):
        raise ValueError("is not a domain name")
    if value.lower().startswith("your-tenant."):
        raise ValueError("still has the placeholder of the guide")
    port_of(f"//{value}")
    return value.lower()


def callback_url(value: str, production: bool) -> str:
    """The URL of our callback: https, or http on this machine outside production."""
    url = _split(value)
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or url.query or url.fragment:
        raise ValueError("is not a plain URL of the form https://host/callback")
    if url.path != CALLBACK_PATH:
        raise ValueError(f"has the path {url.path or '/'!r}, but the callback of this app is at {CALLBACK_PATH!r}")
    port_of(value)
    if url.scheme != "https":
        if production:
            raise ValueError("is plain http, which production refuses")
        if url.hostname not in LOCAL_HOSTS:
            raise ValueError("is plain http, which is accepted for localhost only")
    return value


def credential(text: str) -> None:
    """What Auth0's dashboard shows, copied whole."""
    if not text.strip() or text != text.strip():
        raise ValueError("is empty or has spaces around it")
    if text.startswith("your_"):
        raise ValueError("still has the placeholder of the guide")


def one_credential(secret: bool, others: Sequence[str]) -> None:
    """The client secret, or one of what takes its place."""
    if not secret and not others:
        raise ValueError("is missing")
    given = [*(["it"] if secret else []), *others]
    if len(given) > 1:
        raise ValueError(f"is one of several ways to authenticate that are set ({', '.join(given)}): keep one of them")


def private_key(text: str) -> None:
    """An RSA private key in PEM, without a passphrase."""
    # Here, so that the settings' table does not wait for it.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        raise ValueError("is not a private key in PEM, without a passphrase") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < RSA_MINIMUM:
        raise ValueError(f"is not an RSA key of at least {RSA_MINIMUM} bits")


def proxy_url(text: str) -> None:
    """The URL of an HTTP proxy. Its password is never in the sentence."""
    url = _split(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query:
        raise ValueError("is not a URL of the form http://host:port")
    port_of(text)


def key_ring(texts: Sequence[str], client_secret: str | None) -> None:
    """Secrets to encrypt with: long, not guessable, each of them once, none of them used elsewhere."""
    if not texts:
        raise ValueError("is empty")
    if any(text.startswith("your_") for text in texts):
        raise ValueError("still has the placeholder of the guide")
    if any(len(text) < SECRET_MINIMUM for text in texts):
        raise ValueError(f"is shorter than {SECRET_MINIMUM} characters")
    if any(_repeats(text) for text in texts):
        raise ValueError("repeats a short pattern and could be guessed")
    if len(set(texts)) != len(texts):
        raise ValueError("lists the same secret twice")
    if client_secret in texts:
        raise ValueError("is the same as AUTH0_CLIENT_SECRET; it must be one of its own")


def scope(value: str) -> str:
    """Scopes with one space between them, `openid` among them."""
    scopes = value.split()
    if "openid" not in scopes:
        raise ValueError("must contain `openid`, without it no user is identified")
    return " ".join(scopes)


def login_parameters(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that a link may carry to the authorization endpoint, none of them the protocol's own."""
    refused = sorted(PROTOCOL_PARAMETERS.intersection(names))
    if refused:
        raise ValueError(f"has {refused[0]!r}, which no link may set")
    return names


def redis_url(text: str) -> None:
    """A URL of one of Redis' shapes. Its password is never in the sentence."""
    redis_url_.parse(text)
    if text.startswith(("redis://", "rediss://", "unix://")):
        port_of(text)


def address(value: str) -> str:
    """`host:port`, or `unix:/path`, to listen on."""
    if not value.startswith("unix:"):
        port_of(f"//{value}")
    return value


def proxies(names: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses, networks, or `unix`; never everybody."""
    for name in names:
        if name == "unix":
            continue
        try:
            network = ipaddress.ip_network(name)
        except ValueError:
            raise ValueError(f"has {name!r}, which is no address, no network and not `unix`") from None
        if network.prefixlen == 0:
            raise ValueError(f"has {name!r}, which would trust everybody's forwarded headers")
    return names


def collector_url(value: str) -> str:
    """Where traces are sent: a URL without credentials, which belong into headers."""
    url = _split(value)
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or url.query or url.fragment:
        raise ValueError("is not a plain URL of the form http://host:port")
    if url.path.rstrip("/").endswith("/v1/traces"):
        raise ValueError("ends in /v1/traces, which is appended to it: leave that out")
    port_of(value)
    return value.rstrip("/")


def headers(text: str) -> dict[str, str]:
    """The headers in `name=value,name=value`, where values are percent-encoded. No sentence quotes one."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        value = unquote(value)
        if not equals or not _TOKEN.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ValueError("is not of the form name=value, separated by commas, with values percent-encoded")
        found[name.lower()] = value
    return found


def resource_attributes(parts: Sequence[str]) -> dict[str, str]:
    """The attributes in `name=value`, where values may be percent-encoded."""
    found = {}
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _ATTRIBUTE.fullmatch(name):
            raise ValueError("is not of the form name=value, separated by commas")
        found[name] = unquote(value)
    return found


def port_of(url: str) -> int | None:
    """The port in a URL, if it has one."""
    split = _split(url)
    try:
        return split.port
    except ValueError:
        raise ValueError("has a port that is not between 0 and 65535") from None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # The message of urlsplit quotes the URL, password and all.
        raise ValueError("is not a URL") from None


def _repeats(text: str) -> bool:
    # `ab` × 20 has two characters' worth of entropy whatever its length.
    return text in (text + text)[1:-1] or len(set(text)) < 8
