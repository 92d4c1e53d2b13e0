"""The integration guide's app, as it is written there: `auth.py` and `app.py` in one file.

`BENCH_SESSIONS` chooses between its two setups. Added is only what a benchmark needs: `/sign-in/<user>`, which leaves
behind what the guide's callback does, and the address of a Redis that is not at `localhost:6379`.
"""

import os

import redis
from auth0_server_python.auth_server.server_client import ServerClient
from flask import Flask
from flask_session import Session

from tests.load.users import IDENTIFIER, USERS
from tests.unit.guide import FlaskSessionStateStore, FlaskSessionTransactionStore, add_routes

secret = os.getenv("AUTH0_SECRET")
state_store = FlaskSessionStateStore(secret=secret)
auth0 = ServerClient(
    domain=os.getenv("AUTH0_DOMAIN"),
    client_id=os.getenv("AUTH0_CLIENT_ID"),
    client_secret=os.getenv("AUTH0_CLIENT_SECRET"),
    secret=secret,
    redirect_uri=os.getenv("AUTH0_REDIRECT_URI"),
    state_store=state_store,
    transaction_store=FlaskSessionTransactionStore(secret=secret),
    authorization_params={"scope": "openid profile email"},
)

app = Flask(__name__)
app.secret_key = os.getenv("AUTH0_SECRET")
app.config.update(
    SESSION_COOKIE_SECURE=True,  # "Must set to True in production", says the guide
    SESSION_COOKIE_HTTPONLY=True,
    SESSION_COOKIE_SAMESITE="Lax",
)
if os.environ["BENCH_SESSIONS"] == "redis":
    app.config.update(
        SESSION_TYPE="redis",
        SESSION_PERMANENT=True,
        SESSION_KEY_PREFIX="auth0:",
        SESSION_REDIS=redis.Redis.from_url(os.environ["REDIS_URL"]),
    )
    Session(app)


add_routes(app, auth0)


@app.route("/sign-in/<key>")
async def sign_in(key):
    await state_store.set(IDENTIFIER, USERS[key].state())
    return "signed in"
