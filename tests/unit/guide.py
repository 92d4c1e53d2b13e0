"""The guide's own `auth.py` and `app.py`, word for word but for what has to be given: the app, and the client."""

from typing import Any

from auth0_server_python.auth_types import StateData, TransactionData
from auth0_server_python.store import StateStore, TransactionStore
from flask import Flask, redirect, request
from flask import session as flask_session


class FlaskSessionStateStore(StateStore):
    """State store that uses Flask's session for persistence."""

    def __init__(self, secret: str):
        super().__init__({"secret": secret})

    async def set(self, identifier, state, remove_if_expires=False, options=None):
        data = state.dict() if hasattr(state, "dict") else state
        flask_session[identifier] = self.encrypt(identifier, data)

    async def get(self, identifier, options=None):
        data = flask_session.get(identifier)
        if data is None:
            return None
        decrypted = self.decrypt(identifier, data)
        # Ensure to not return a dict, as the underlying SDK expects a StateData instance, not a dict
        return StateData(**decrypted) if isinstance(decrypted, dict) else decrypted

    async def delete(self, identifier, options=None):
        flask_session.pop(identifier, None)

    async def delete_by_logout_token(self, claims, options=None):
        pass


class FlaskSessionTransactionStore(TransactionStore):
    """Transaction store that uses Flask's session for persistence."""

    def __init__(self, secret: str):
        super().__init__({"secret": secret})

    async def set(self, identifier, state, remove_if_expires=False, options=None):
        data = state.dict() if hasattr(state, "dict") else state
        flask_session[identifier] = self.encrypt(identifier, data)

    async def get(self, identifier, options=None):
        data = flask_session.get(identifier)
        if data is None:
            return None
        decrypted = self.decrypt(identifier, data)
        # Ensure to not return a dict, as the underlying SDK expects a TransactionData instance, not a dict
        return TransactionData(**decrypted) if isinstance(decrypted, dict) else decrypted

    async def delete(self, identifier, options=None):
        flask_session.pop(identifier, None)


def add_routes(app: Flask, auth0: Any) -> None:
    """The guide's `app.py` from step 6 on."""

    @app.route("/")
    async def home():
        user = await auth0.get_user()
        if user:
            return f"Hello, {user['name']}! <a href='/profile'>Profile</a> | <a href='/logout'>Logout</a>"
        return "Welcome! <a href='/login'>Login</a>"

    @app.route("/login")
    async def login():
        authorization_url = await auth0.start_interactive_login()
        return redirect(authorization_url)

    @app.route("/callback")
    async def callback():
        try:
            await auth0.complete_interactive_login(str(request.url))
            return redirect("/")
        except Exception as e:  # noqa: BLE001 - as the guide has it
            return f"Authentication error: {e!s}", 400

    @app.route("/profile")
    async def profile():
        user = await auth0.get_user()
        if user is None:
            return redirect("/login")
        return (
            f"<h1>{user['name']}</h1>"
            f"<p>Email: {user['email']}</p>"
            f"<img src='{user['picture']}' alt='{user['name']}' width='100' />"
            f"<p><a href='/logout'>Logout</a></p>"
        )

    @app.route("/logout")
    async def logout():
        url = await auth0.logout()
        return redirect(url)
