"""What the Auth0 integration guide for Flask says: a test for each row of its tables and each of its statements.

The app is made in this process; the provider is the real one.
"""

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from auth0_server_python.auth_server.server_client import ServerClient
from auth0_server_python.auth_types import StateData, TransactionData, UserClaims
from auth0_server_python.error import MissingTransactionError
from auth0_server_python.store import StateStore, TransactionStore
from flask import Flask, redirect, session
from flask.testing import FlaskClient

import app.auth
from app import create_app, sessions
from app.auth import Auth0Client, FlaskSessionStateStore, FlaskSessionTransactionStore, auth0
from app.server import LoopFlask, await_
from app.settings import Settings, SettingsError, load_settings
from tests.integration.identity.browser import Browser
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.redis import RedisServer, redis_server
from tests.unit import guide
from tests.unit.browsing import client_of

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "app").rglob("*.py"))
LOCK = (ROOT / "requirements" / "app.txt").read_text()
CALLBACK: str = CLIENT["redirect_uris"][0]
ORIGIN = CALLBACK.removesuffix("/callback")
SDK_METHODS = ("start_interactive_login", "complete_interactive_login", "get_user", "get_access_token", "logout")
STATE = "_a0_session"

MakeApp = Callable[..., LoopFlask]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def environ(running_provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The guide's five variables, for the local provider, and sessions in cookies."""
    monkeypatch.setenv("SSL_CERT_FILE", str(running_provider.ca.path))
    return {
        "AUTH0_DOMAIN": running_provider.domain,
        "AUTH0_CLIENT_ID": CLIENT["client_id"],
        "AUTH0_CLIENT_SECRET": CLIENT["client_secret"],
        "AUTH0_SECRET": "5d0e6dcb6fb6b9be4a6ed3df0ba4d7b4c0ef1f2a2f8b6c1f7c5a9ac8f2ab14de",
        "AUTH0_REDIRECT_URI": CALLBACK,
        "SESSION_BACKEND": "cookie",
    }


@pytest.fixture
def make_app(environ: dict[str, str]) -> Iterator[MakeApp]:
    """Make apps: `make_app(SESSION_BACKEND="redis", REDIS_URL=...)`."""
    made: list[LoopFlask] = []

    def make(**variables: str) -> LoopFlask:
        made.append(create_app(load_settings(environ | variables)))
        return made[-1]

    yield make
    for application in made:
        stop(application)


def stop(application: LoopFlask) -> None:
    """What the server does at its end."""
    for hook in application.stop_hooks:
        await_(hook())


@pytest.fixture(params=["cookie", "redis"])
def backend(request: pytest.FixtureRequest, redis: RedisServer) -> dict[str, str]:
    """The variables of the stateless and of the stateful setup."""
    if request.param == "cookie":
        return {"SESSION_BACKEND": "cookie"}
    return {"SESSION_BACKEND": "redis", "REDIS_URL": redis.url, "REDIS_TIMEOUT_SECONDS": "5"}


@pytest.fixture
def application(make_app: MakeApp) -> LoopFlask:
    return make_app()


@pytest.fixture
def client(application: LoopFlask) -> FlaskClient:
    return client_of(application)


@pytest.fixture
def callback_of(running_provider: IdentityProvider) -> Iterator[Callable[[str], str]]:
    """Sign Jane in at the provider: from the authorization URL to the address of the callback."""
    with Browser(running_provider.issuer, str(running_provider.ca.path)) as browser:
        yield browser.sign_in


def sign_in(client: FlaskClient, callback_of: Callable[[str], str]) -> Any:
    """The callback's answer to a sign-in."""
    return client.get(callback_of(client.get("/login").location).removeprefix(ORIGIN))


def imports() -> Iterator[tuple[Path, str]]:
    """Each module that the app's source imports, with the file that does."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield path, node.module or ""


def sdk_calls() -> Iterator[tuple[ast.Call, bool]]:
    """Each call of a method of `auth0` in the app's source, and whether it is awaited."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        # `await_(…)` waits too, in a guard that has to be a plain function.
        awaited = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Await)}
        awaited |= {
            id(node.args[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "await_" and node.args
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in SDK_METHODS and ast.unparse(node.func.value) != "super()":
                yield node, id(node) in awaited


def requires(name: str) -> bool:
    """Whether the app's lock has a distribution."""
    return re.search(rf"(?im)^{re.escape(name)}(\[.*\])?==", LOCK) is not None


# The table of common mistakes, row by row.


def test_mistake_hardcoding_domain_client_id_or_client_secret_in_source(environ: dict[str, str]) -> None:
    written = re.compile(r"""\b(domain|client_id|client_secret|secret|secret_key)\s*=\s*f?["'][^"']""")
    everything = "\n".join(path.read_text() for path in SOURCES)
    assert [line for line in everything.splitlines() if written.search(line)] == []
    assert not re.search(r"[0-9a-f]{32}", everything)
    assert CLIENT["client_secret"] not in everything


def test_mistake_using_authlib_or_python_jose_directly() -> None:
    # The one use: the SDK's own client object, made again with a TLS context and a time limit.
    users = {(path.relative_to(ROOT).as_posix(), name) for path, name in imports() if re.match(r"authlib|jose", name)}
    assert users == {
        ("app/auth/provider.py", "authlib.deprecate"),
        ("app/auth/provider.py", "authlib.integrations.httpx_client"),
    }
    assert not requires("python-jose")


@pytest.mark.parametrize(("module", "distribution"), [("flask_login", "flask-login"), ("flask_dance", "flask-dance")])
def test_mistake_using_flask_login_or_flask_dance(module: str, distribution: str) -> None:
    assert not [path for path, name in imports() if name.split(".")[0] == module]
    assert not requires(distribution)


def test_mistake_manually_parsing_jwts_with_jwt_decode() -> None:
    # The one use: the SDK's own check made again, with a leeway and with the claims that a token must have.
    decoders = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("decode", "decode_complete", "get_unverified_header")
                and isinstance(node.value, ast.Name)
                and node.value.id == "jwt"
            ):
                decoders.add((path.relative_to(ROOT).as_posix(), node.attr))
            assert not (isinstance(node, ast.ImportFrom) and node.module == "jwt"), path
    only = "app/auth/verification.py"
    assert decoders == {(only, "decode"), (only, "get_unverified_header")}
    source = (ROOT / only).read_text()
    assert 'algorithms=["RS256"]' in source
    assert "verify_signature" not in source


def test_mistake_installing_flask_without_the_async_extra() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [flask] = [dependency for dependency in dependencies if re.match(r"flask\b(?!-)", dependency)]
    assert flask.startswith("flask[async]>=")
    assert requires("asgiref")


def test_mistake_using_synchronous_route_handlers(application: LoopFlask) -> None:
    own = {name: view for name, view in application.view_functions.items() if name.startswith(("auth.", "pages."))}
    assert {"auth.login", "auth.callback", "auth.logout", "pages.home", "pages.profile"} <= set(own)
    assert [name for name, view in own.items() if not inspect.iscoroutinefunction(inspect.unwrap(view))] == []


def test_mistake_forgetting_app_secret_key(application: LoopFlask, environ: dict[str, str]) -> None:
    assert application.secret_key == environ["AUTH0_SECRET"]
    with pytest.raises(SettingsError, match="AUTH0_SECRET is missing"):
        load_settings({name: value for name, value in environ.items() if name != "AUTH0_SECRET"})


def test_mistake_using_auth0_fastapi_api_in_flask() -> None:
    assert requires("auth0-server-python")
    assert not requires("auth0-fastapi-api")
    assert not requires("auth0-fastapi")


@pytest.mark.parametrize("domain", ["https://my-tenant.us.auth0.com", "https://my-tenant.us.auth0.com/", "http://a.b"])
def test_mistake_passing_domain_as_full_url_with_https(environ: dict[str, str], domain: str) -> None:
    with pytest.raises(SettingsError, match="AUTH0_DOMAIN is a URL, but must be the bare domain"):
        load_settings(environ | {"AUTH0_DOMAIN": domain})


def test_mistake_not_configuring_callback_url_in_auth0_dashboard(
    make_app: MakeApp, running_provider: IdentityProvider
) -> None:
    unknown = make_app(AUTH0_REDIRECT_URI="https://localhost:1234/callback")
    location = client_of(unknown).get("/login").location
    with running_provider.client() as http:
        page = http.get(location)
    assert page.status_code == 400
    assert "redirect_uri" in page.text


def test_mistake_returning_start_interactive_login_directly(
    client: FlaskClient, running_provider: IdentityProvider
) -> None:
    answer = client.get("/login")
    assert answer.status_code == 302
    assert answer.location.startswith(f"{running_provider.issuer}authorize?")


def test_mistake_not_handling_errors_in_callback(client: FlaskClient) -> None:
    answer = client.get("/callback?code=expired&state=forged")
    assert answer.status_code == 400
    assert "This sign-in is no longer valid" in answer.text


def test_mistake_calling_sdk_methods_without_await() -> None:
    calls = list(sdk_calls())
    assert len(calls) > 5
    assert [ast.unparse(call) for call, awaited in calls if not awaited] == []


def test_mistake_passing_options_positionally_to_logout(application: LoopFlask) -> None:
    logouts = [call for call, _ in sdk_calls() if ast.unparse(call.func).endswith(".logout")]
    assert logouts
    assert all(ast.unparse(argument).startswith("LogoutOptions(") for call in logouts for argument in call.args)
    with application.test_request_context("/logout"):
        assert await_(auth0.logout(store_options={"request": object()})).startswith("https://")


def test_mistake_expecting_backchannel_logout_to_work(client: FlaskClient, callback_of: Callable[[str], str]) -> None:
    sign_in(client, callback_of)
    with client:
        client.get("/profile")
        user = await_(auth0.get_user())
        assert user is not None
        store = FlaskSessionStateStore(secret="not used")
        await_(store.delete_by_logout_token({"sub": user["sub"], "sid": user["sid"], "iss": user["iss"]}))
        assert STATE in session
    assert client.get("/profile").status_code == 200


@pytest.mark.parametrize("off", ["false", "0", "False", "no", "off"])
def test_mistake_deploying_with_session_cookie_secure_false(environ: dict[str, str], off: str) -> None:
    with pytest.raises(SettingsError, match="SESSION_COOKIE_SECURE is false, which production refuses"):
        load_settings(environ | {"SESSION_COOKIE_SECURE": off})


# The table of key SDK methods, row by row.


def test_method_start_interactive_login_returns_authorization_url_string(
    application: LoopFlask, running_provider: IdentityProvider
) -> None:
    with application.test_request_context("/login"):
        url = await_(auth0.start_interactive_login())
    assert isinstance(url, str)
    assert url.startswith(f"{running_provider.issuer}authorize?")


def test_method_complete_interactive_login_processes_the_callback_url(
    application: LoopFlask, callback_of: Callable[[str], str]
) -> None:
    client = client_of(application)
    callback = callback_of(client.get("/login").location)
    headers = {"Cookie": "; ".join(f"{c.key}={c.value}" for c in client._cookies.values())}
    with application.test_request_context(callback, headers=headers):
        result = await_(auth0.complete_interactive_login(callback))
        assert result["state_data"]["user"]["name"] == "Jane Doe"
        user = await_(auth0.get_user())
        assert user is not None
        with pytest.raises(MissingTransactionError):
            await_(auth0.complete_interactive_login(f"{CALLBACK}?code=a&state=forged"))


def test_method_get_user_returns_current_session_user_dict_or_none(
    application: LoopFlask, callback_of: Callable[[str], str]
) -> None:
    client = client_of(application)
    with client:
        client.get("/")
        assert await_(auth0.get_user()) is None
    sign_in(client, callback_of)
    with client:
        client.get("/")
        user = await_(auth0.get_user())
    assert isinstance(user, dict)
    assert (user["name"], user["email"]) == ("Jane Doe", "jane@example.com")
    assert user["picture"].endswith("/picture/jane.svg")


def test_method_get_access_token_returns_the_access_token_for_calling_external_apis(
    client: FlaskClient, callback_of: Callable[[str], str], running_provider: IdentityProvider
) -> None:
    sign_in(client, callback_of)
    with client:
        client.get("/")
        token = await_(auth0.get_access_token())
    with running_provider.client() as http:
        assert http.get("/userinfo", headers={"Authorization": f"Bearer {token}"}).json()["email"] == "jane@example.com"


def test_method_logout_returns_auth0_logout_url_string(
    application: LoopFlask, running_provider: IdentityProvider
) -> None:
    with application.test_request_context("/logout"):
        url = await_(auth0.logout())
    assert isinstance(url, str)
    assert url.startswith(f"{running_provider.issuer}v2/logout?client_id={CLIENT['client_id']}")


@pytest.mark.parametrize("method", SDK_METHODS)
def test_all_key_methods_are_async(method: str) -> None:
    assert inspect.iscoroutinefunction(getattr(Auth0Client, method))


# Its statements, from the first to the last.


def test_installed_are_the_sdk_flask_async_and_dotenv() -> None:
    assert requires("auth0-server-python")
    assert requires("flask")
    assert requires("python-dotenv")


def test_async_def_route_handlers_work(application: LoopFlask) -> None:
    assert inspect.iscoroutinefunction(application.view_functions["pages.home"])
    assert client_of(application).get("/").status_code == 200


@pytest.mark.parametrize(
    "name", ["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_SECRET", "AUTH0_REDIRECT_URI"]
)
def test_each_of_the_five_environment_variables_is_required(environ: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is missing"):
        load_settings({variable: value for variable, value in environ.items() if variable != name})


def test_the_five_environment_variables_configure_the_client(application: LoopFlask, environ: dict[str, str]) -> None:
    made = application.extensions["auth0"]
    assert (made._domain, made._client_id) == (environ["AUTH0_DOMAIN"], environ["AUTH0_CLIENT_ID"])
    assert (made._client_secret, made._secret) == (environ["AUTH0_CLIENT_SECRET"], environ["AUTH0_SECRET"])
    assert made._redirect_uri == environ["AUTH0_REDIRECT_URI"]


def test_a_dotenv_file_configures_the_app_in_development(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = environ | {"APP_ENV": "development", "AUTH0_REDIRECT_URI": "http://localhost:5000/callback"}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in written.items()))
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).auth0_redirect_uri == "http://localhost:5000/callback"


def test_the_output_of_openssl_rand_hex_64_is_a_good_secret(environ: dict[str, str]) -> None:
    import secrets

    assert load_settings(environ | {"AUTH0_SECRET": secrets.token_hex(64)})


def test_callback_at_localhost_5000_works_in_development(make_app: MakeApp) -> None:
    development = make_app(APP_ENV="development", AUTH0_REDIRECT_URI="http://localhost:5000/callback")
    answer = development.test_client().get("/login", base_url="http://localhost:5000")
    sent = parse_qs(urlsplit(answer.location).query)
    assert sent["redirect_uri"] == ["http://localhost:5000/callback"]
    # A browser keeps neither a Secure nor a __Host- cookie of plain HTTP.
    assert "Secure" not in answer.headers["Set-Cookie"]
    assert answer.headers["Set-Cookie"].startswith("login.")
    back = development.test_client().get("/logout", base_url="http://localhost:5000")
    assert parse_qs(urlsplit(back.location).query)["returnTo"] == ["http://localhost:5000"]


def test_stores_have_the_guides_names_and_take_a_secret() -> None:
    state, transaction = FlaskSessionStateStore(secret="a secret"), FlaskSessionTransactionStore(secret="a secret")
    assert isinstance(state, StateStore)
    assert isinstance(transaction, TransactionStore)


@pytest.mark.parametrize("kind", ["StateStore", "TransactionStore"])
def test_stores_have_the_guides_methods_with_the_guides_parameters(kind: str) -> None:
    ours, guides = getattr(app.auth, f"FlaskSession{kind}"), getattr(guide, f"FlaskSession{kind}")
    for name, method in vars(guides).items():
        if not name.startswith("_"):
            assert list(inspect.signature(getattr(ours, name)).parameters) == list(inspect.signature(method).parameters)
            assert inspect.iscoroutinefunction(getattr(ours, name))


def test_state_store_returns_state_data_and_not_a_dict(application: LoopFlask) -> None:
    store = FlaskSessionStateStore(secret="a secret")
    state = {"user": {"sub": "auth0|1"}, "token_sets": [], "internal": {"sid": "s", "created_at": 1}}
    with application.test_request_context("/"):
        assert await_(store.get(STATE)) is None
        for given in (StateData(**state), state):
            await_(store.set(STATE, given))
            found = await_(store.get(STATE))
            assert isinstance(found, StateData)
            assert isinstance(found.user, UserClaims)
            assert found.user.sub == "auth0|1"
        await_(store.delete(STATE))
        assert await_(store.get(STATE)) is None


def test_transaction_store_returns_transaction_data_and_not_a_dict(application: LoopFlask) -> None:
    @application.post("/put")
    async def put() -> str:
        await FlaskSessionTransactionStore(secret="s").set("tx:1", TransactionData(code_verifier="v"))
        return ""

    @application.get("/take")
    async def take() -> dict[str, Any]:
        found = await FlaskSessionTransactionStore(secret="s").get("tx:1")
        return {"type": type(found).__name__, "verifier": found.code_verifier if found else None}

    client = client_of(application)
    client.post("/put")
    assert client.get("/take").json == {"type": "TransactionData", "verifier": "v"}
    assert client.get("/take").json == {"type": "NoneType", "verifier": None}


def test_one_server_client_instance_is_made_and_reused(application: LoopFlask) -> None:
    assert isinstance(application.extensions["auth0"], ServerClient)
    seen = set()
    for _ in range(3):
        with application.test_request_context("/"):
            seen.add(id(auth0._get_current_object()))  # type: ignore[attr-defined]
    assert seen == {id(application.extensions["auth0"])}
    made = [path for path in SOURCES if "Auth0Client(" in path.read_text().replace("class Auth0Client(", "")]
    assert made == [ROOT / "app" / "auth" / "__init__.py"]


def test_the_scope_is_openid_profile_email(client: FlaskClient) -> None:
    assert parse_qs(urlsplit(client.get("/login").location).query)["scope"] == ["openid profile email"]


def test_a_session_in_a_cookie_is_encrypted_and_authenticated(
    client: FlaskClient, callback_of: Callable[[str], str]
) -> None:
    import base64

    sign_in(client, callback_of)
    cookie = client.get_cookie("__Host-session", "localhost")
    assert cookie is not None
    raw = base64.urlsafe_b64decode(cookie.value + "==")
    assert b"jane" not in raw.lower()
    client.set_cookie("__Host-session", cookie.value[:-4] + "AAAA", domain="localhost")
    assert client.get("/profile").status_code == 303


def test_the_stateless_setup_needs_no_database(application: LoopFlask) -> None:
    assert "session_store" not in application.extensions
    assert isinstance(application.session_interface, sessions.CookieSessions)
    assert client_of(application).get("/healthz/ready").json == {"status": "ready"}


def test_no_store_options_and_no_before_request_are_needed() -> None:
    assert not [ast.unparse(call) for call, _ in sdk_calls() if "store_options" in ast.unparse(call)]


def test_session_data_past_4_kb_still_fits_in_cookies(application: LoopFlask) -> None:
    @application.post("/keep")
    async def keep() -> str:
        session["much"] = "x" * 8000
        return ""

    @application.get("/kept")
    async def kept() -> str:
        return str(len(session.get("much", "")))

    client = client_of(application)
    client.post("/keep")
    assert client.get("/kept").text == "8000"


@pytest.mark.parametrize("environment", ["production", "development", "test"])
def test_session_cookies_are_httponly_and_lax_and_secure_over_https(make_app: MakeApp, environment: str) -> None:
    application = make_app(APP_ENV=environment)
    config = application.config
    assert (config["SESSION_COOKIE_SECURE"], config["SESSION_COOKIE_HTTPONLY"]) == (True, True)
    assert config["SESSION_COOKIE_SAMESITE"] == "Lax"
    header = client_of(application).get("/login").headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in header.split(";")}


def test_pages_cannot_switch_session_cookie_secure_off_in_production(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app import pages

    def init_app(application: Flask) -> None:
        application.config["SESSION_COOKIE_SECURE"] = False

    monkeypatch.setattr(pages, "init_app", init_app)
    with pytest.raises(RuntimeError, match="SESSION_COOKIE_SECURE was turned off by the pages"):
        create_app(load_settings(environ))


def test_home_says_welcome_with_login_or_hello_with_profile_and_logout(
    client: FlaskClient, callback_of: Callable[[str], str]
) -> None:
    stranger = client.get("/").text
    assert "Welcome!" in stranger
    assert 'href="/login"' in stranger
    sign_in(client, callback_of)
    home = client.get("/").text
    assert "Hello, Jane Doe!" in home
    assert 'href="/profile"' in home
    assert 'href="/logout"' in home


def test_callback_completes_the_login_and_redirects_home(
    client: FlaskClient, callback_of: Callable[[str], str]
) -> None:
    answer = sign_in(client, callback_of)
    assert (answer.status_code, answer.location) == (302, "/")


def test_callback_reports_csrf_mismatch_and_expired_code_and_tells_nothing_of_the_exception(
    client: FlaskClient, callback_of: Callable[[str], str]
) -> None:
    callback = callback_of(client.get("/login").location).removeprefix(ORIGIN)
    forged = re.sub(r"state=[^&]+", "state=forged", callback)
    wrong = re.sub(r"code=[^&]+", "code=expired", callback)
    for target in (forged, wrong, callback):
        answer = client.get(target)
        assert answer.status_code == 400
        assert "Error" not in answer.text
    assert client.get("/profile").status_code == 303


def test_profile_shows_name_email_picture_and_logout(client: FlaskClient, callback_of: Callable[[str], str]) -> None:
    sign_in(client, callback_of)
    page = client.get("/profile").text
    assert "<h1>Jane Doe</h1>" in page
    assert "Email: jane@example.com" in page
    assert "/picture/jane.svg" in page
    assert 'href="/logout"' in page


def test_profile_without_a_user_redirects_to_login(client: FlaskClient) -> None:
    answer = client.get("/profile")
    assert (answer.status_code, urlsplit(answer.location).path) == (303, "/login")


def test_logout_redirects_to_auth0_and_ends_the_session(
    client: FlaskClient, callback_of: Callable[[str], str], running_provider: IdentityProvider
) -> None:
    sign_in(client, callback_of)
    answer = client.get("/logout")
    assert answer.location.startswith(f"{running_provider.issuer}v2/logout?")
    assert client.get("/profile").status_code == 303


def sessions_in(redis: RedisServer) -> list[bytes]:
    """The keys that hold sessions, and not what they can be found by."""
    return [key for key in redis.client.scan_iter() if re.fullmatch(rb"session:[0-9a-f]{64}", key)]


def test_the_stateful_setup_keeps_only_a_session_id_in_the_cookie(
    make_app: MakeApp, redis: RedisServer, callback_of: Callable[[str], str]
) -> None:
    stateful = make_app(SESSION_BACKEND="redis", REDIS_URL=redis.url, REDIS_TIMEOUT_SECONDS="5")
    client = client_of(stateful)
    before = len(sessions_in(redis))
    sign_in(client, callback_of)
    cookie = client.get_cookie("__Host-session", "localhost")
    assert cookie is not None
    assert len(cookie.value) < 64
    assert len(sessions_in(redis)) == before + 1


def test_no_store_and_no_route_changes_from_stateless_to_stateful(
    make_app: MakeApp, backend: dict[str, str], callback_of: Callable[[str], str]
) -> None:
    application = make_app(**backend)
    assert type(application.extensions["auth0"]._state_store) is FlaskSessionStateStore
    assert type(application.extensions["auth0"]._transaction_store) is FlaskSessionTransactionStore
    client = client_of(application)
    sign_in(client, callback_of)
    assert "Jane Doe" in client.get("/profile").text


def test_quick_reference_server_client_takes_these_arguments(environ: dict[str, str]) -> None:
    secret = environ["AUTH0_SECRET"]
    made = ServerClient(
        domain=environ["AUTH0_DOMAIN"],
        client_id=environ["AUTH0_CLIENT_ID"],
        client_secret=environ["AUTH0_CLIENT_SECRET"],
        secret=secret,
        redirect_uri=environ["AUTH0_REDIRECT_URI"],
        state_store=FlaskSessionStateStore(secret=secret),
        transaction_store=FlaskSessionTransactionStore(secret=secret),
        authorization_params={"scope": "openid profile email"},
    )
    await_(made._oauth.aclose())


def test_route_protection_pattern_works_in_ones_own_page(
    application: LoopFlask, callback_of: Callable[[str], str]
) -> None:
    @application.route("/own")
    async def own() -> Any:
        user = await auth0.get_user()
        if user is None:
            return redirect("/login")
        return user["name"]

    client = client_of(application)
    assert client.get("/own").location == "/login"
    sign_in(client, callback_of)
    assert client.get("/own").text == "Jane Doe"


# The guide's `dict()` is the name of `model_dump()` in pydantic 1.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.parametrize("stores", [app.auth, guide], ids=["our stores", "the guide's stores"])
def test_the_guides_own_app_runs_on_these_sessions(
    environ: dict[str, str], backend: dict[str, str], stores: Any, callback_of: Callable[[str], str]
) -> None:
    settings: Settings = load_settings(environ | backend)
    guides_app = LoopFlask("guide")
    guides_app.secret_key = secret = settings.secrets[0]
    guides_app.config["ORIGIN"] = ORIGIN
    sessions.init_app(guides_app, settings)
    client_of_guide = Auth0Client(
        domain=settings.auth0_domain,
        client_id=settings.auth0_client_id,
        client_secret=environ["AUTH0_CLIENT_SECRET"],
        secret=secret,
        redirect_uri=settings.auth0_redirect_uri,
        state_store=stores.FlaskSessionStateStore(secret=secret),
        transaction_store=stores.FlaskSessionTransactionStore(secret=secret),
        authorization_params={"scope": "openid profile email"},
        timeout=30,
    )
    guides_app.on_stop(client_of_guide.close)
    guide.add_routes(guides_app, client_of_guide)

    client = client_of(guides_app)
    assert client.get("/").text.startswith("Welcome!")
    assert client.get("/profile").location == "/login"
    assert sign_in(client, callback_of).location == "/"
    assert client.get("/").text.startswith("Hello, Jane Doe!")
    assert "<p>Email: jane@example.com</p>" in client.get("/profile").text
    assert client.get("/callback?code=a&state=b").status_code == 400
    assert "/v2/logout?" in client.get("/logout").location
    assert client.get("/").text.startswith("Welcome!")
    stop(guides_app)
