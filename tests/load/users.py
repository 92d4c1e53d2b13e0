"""Who is signed in while requests are timed, with a session as large as a real login leaves it."""

import random
import time
from dataclasses import dataclass

from auth0_server_python.auth_types import StateData

DOMAIN = "bench.eu.auth0.com"
IDENTIFIER = "_a0_session"
# An RS256 token with a dozen claims; what is in it does not matter, nobody reads it.
TOKEN_BYTES = 900
REFRESH_TOKEN_BYTES = 64


@dataclass(frozen=True)
class User:
    """One of the two whose answers must not be mixed up."""

    key: str
    name: str
    email: str
    picture: str

    @property
    def page(self) -> str:
        """The guide's profile page."""
        return (
            f"<h1>{self.name}</h1>"
            f"<p>Email: {self.email}</p>"
            f"<img src='{self.picture}' alt='{self.name}' width='100' />"
            f"<p><a href='/logout'>Logout</a></p>"
        )

    def state(self) -> StateData:
        """What the SDK keeps after this user's login."""
        now = int(time.time())
        sid = f"{self.key}-session-".ljust(32, "0")
        user = {
            "sub": f"auth0|{self.key}",
            "name": self.name,
            "nickname": self.key,
            "email": self.email,
            "email_verified": True,
            "picture": self.picture,
            "updated_at": "2026-01-01T00:00:00.000Z",
            "iss": f"https://{DOMAIN}/",
            "aud": "client-of-the-benchmark",
            "iat": now,
            "exp": now + 36_000,
            "sid": sid,
        }
        return StateData.model_validate(
            {
                "user": user,
                "id_token": _opaque(self.key, TOKEN_BYTES),
                "refresh_token": _opaque(self.key, REFRESH_TOKEN_BYTES),
                "token_sets": [
                    {
                        "audience": "default",
                        "access_token": _opaque(self.key + "-access", TOKEN_BYTES),
                        "scope": "openid profile email offline_access",
                        "expires_at": now + 86_400,
                    }
                ],
                "domain": DOMAIN,
                "internal": {"sid": sid, "created_at": now},
            }
        )


def _opaque(seed: str, size: int) -> str:
    # Looks like base64url to a compressor, which Flask's cookies use, and is the same in every run.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(random.Random(seed).choices(alphabet, k=size))


ADA = User("ada", "Ada Lovelace", "ada@example.com", "https://cdn.example.com/ada.png")
GRACE = User("grace", "Grace Hopper", "grace@example.com", "https://cdn.example.com/grace.png")
USERS = {user.key: user for user in (ADA, GRACE)}
