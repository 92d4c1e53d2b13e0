"""Login, logout and tokens with Auth0: what pages need is exported here.

    from app.auth import auth0, login_required

    @pages.get("/profile")
    @login_required
    async def profile():
        user = await auth0.get_user()

`auth0` has the SDK's async methods: `get_user`, `get_session`, `get_access_token`, `start_interactive_login`,
`complete_interactive_login`, `logout`.
"""

from typing import cast

from flask import current_app
from pydantic import SecretStr
from werkzeug.local import LocalProxy

from app.server import LoopFlask
from app.sessions import ends_at as session_ends
from app.settings import Settings

from .client import Auth0Client
from .devices import devices, end_all_devices, end_device, is_own_form
from .guards import login_required, require_login
from .hooks import LoginRefused, on_login, on_logout
from .requirements import MULTI_FACTOR
from .return_to import is_safe_path
from .stores import FlaskSessionStateStore, FlaskSessionTransactionStore

__all__ = [
    "MULTI_FACTOR",
    "Auth0Client",
    "FlaskSessionStateStore",
    "FlaskSessionTransactionStore",
    "LoginRefused",
    "auth0",
    "devices",
    "end_all_devices",
    "end_device",
    "init_app",
    "is_own_form",
    "is_safe_path",
    "login_required",
    "on_login",
    "on_logout",
    "require_login",
    "session_ends",
]

auth0 = cast(Auth0Client, LocalProxy(lambda: current_app._get_current_object().extensions["auth0"]))  # type: ignore[attr-defined]
"""The one client of the current app."""


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Make the app's one client and register `/login`, `/callback` and `/logout`."""
    from . import silent, token_errors, tokens  # noqa: PLC0415
    from .backchannel import backchannel  # noqa: PLC0415 - as the routes
    from .routes import routes  # noqa: PLC0415 - the routes import `auth0` from here

    secret = settings.secrets[0]
    client = Auth0Client(
        domain=settings.auth0_domain,
        client_id=settings.auth0_client_id,
        client_secret=_plain(settings.auth0_client_secret),
        client_assertion_signing_key=_plain(settings.auth0_client_assertion_key),
        client_assertion_signing_alg=settings.auth0_client_assertion_algorithm,
        client_certificate=settings.client_certificate,
        secret=secret,
        redirect_uri=settings.auth0_redirect_uri,
        state_store=FlaskSessionStateStore(secret=secret),
        transaction_store=FlaskSessionTransactionStore(secret=secret),
        authorization_params={"scope": settings.auth0_scope}
        | ({"audience": settings.auth0_audience} if settings.auth0_audience else {}),
        pushed_authorization_requests=settings.auth0_pushed_authorization_requests,
        timeout=settings.auth0_timeout_seconds,
        leeway=settings.auth0_clock_leeway_seconds,
        keys_seconds=settings.auth0_keys_seconds,
        proxy=_plain(settings.auth0_proxy_url),
        margin=settings.auth0_token_margin_seconds,
        revoke=settings.auth0_revoke_at_logout,
    )
    app.config["AUTH0_LOGOUT_FEDERATED"] = settings.auth0_logout_federated
    app.extensions["auth0"] = client
    app.on_stop(client.close)
    app.config["AUTH0_BACKCHANNEL_LOGOUT"] = settings.auth0_backchannel_logout
    app.register_blueprint(routes)
    app.register_blueprint(backchannel)
    tokens.init_app(app)
    token_errors.init_app(app)
    if settings.auth0_silent_login:
        silent.init_app(app)


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
