"""Which of the session's access tokens fits what a page asks for."""

from typing import Any

import pytest

from app import create_app
from app.settings import Settings


@pytest.mark.parametrize(
    ("granted", "asked", "fits"),
    [
        ("openid profile email", None, True),
        ("openid profile email read:orders", "read:orders", True),
        ("openid profile email", "read:orders", False),
        # Not said, so what the login asked for, and no more.
        ("", None, True),
        (None, None, True),
        ("", "read:orders", False),
        ("openid", None, False),
    ],
)
@pytest.mark.parametrize("login_scope", ["openid profile email", "openid profile email offline_access"])
def test_a_token_fits_when_what_it_was_granted_covers_what_is_asked(
    settings: Settings, login_scope: str, granted: str | None, asked: str | None, fits: bool
) -> None:
    app = create_app(settings.model_copy(update={"auth0_scope": login_scope}))
    client: Any = app.extensions["auth0"]
    token_sets = [{"audience": "default", "access_token": "t", "scope": granted, "expires_at": 1}]
    found = client._find_matching_token_set(token_sets, None, client._merge_scope_with_defaults(asked, None))
    assert (found is not None) == fits
