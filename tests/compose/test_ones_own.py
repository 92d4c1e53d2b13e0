"""A tenant, secrets and a certificate of one's own, as the .env file says; development; and what `make down` leaves."""

import json
import secrets
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.certificates import CA, authority
from scripts.containers.client import Client
from tests.compose.stack import PATIENCE, Stack, wait_until
from tests.nginx.client import connect
from tests.servers.demo import copy_of_checkout
from tests.servers.ports import free_ports

PROJECT = "auth0-flask-own"
SERVICES = ("nginx", "app-1", "app-2", "redis")
# Where the tenant is for the app, in place of a name on the internet.
TENANT = "tenant"
TUNNEL_PORT = "9080"
PROXY_URL = f"http://{TENANT}:{TUNNEL_PORT}"
CLIENT = "local-client"
CLIENT_SECRET = "local-secret-for-demonstrations-only"
# With what a shell, Compose or a parser of such files could take for something else; none of it may be shown.
APP_SECRET = secrets.token_hex(64) + "$shown#'$$€"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> CA:
    """The authority of the certificates that a person brings."""
    return authority(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def own(
    containers: Client, stack_variables: dict[str, str], given: CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack that is started with a .env file, all healthy."""
    root = copy_of_checkout(tmp_path_factory.mktemp("own") / "checkout")
    names = ("HTTPS_PORT", "HTTP_PORT", "IDENTITY_PORT")
    ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    certificate, key = given.issue(stem="own")
    (root / "secrets").mkdir(mode=0o700)
    (root / "secrets" / "client_secret").write_text(f"{CLIENT_SECRET}\n")
    settings = {
        # As .env.example has them, for a development server; the compose file decides.
        "APP_ENV": "development",
        "SESSION_BACKEND": "cookie",
        "AUTH0_DOMAIN": f"localhost:{ports['IDENTITY_PORT']}",
        "AUTH0_CLIENT_ID": CLIENT,
        "AUTH0_CLIENT_SECRET_FILE": "secrets/client_secret",
        "AUTH0_SECRET": APP_SECRET,
        "AUTH0_REDIRECT_URI": f"https://localhost:{ports['HTTPS_PORT']}/callback",
        "AUTH0_PROXY_URL": PROXY_URL,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        "COMPOSE_PROFILES": "none",
    }
    (root / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    bases = {name: value for name, value in stack_variables.items() if name.endswith("_IMAGE")}
    variables = bases | ports | PATIENCE | {"COMPOSE_PROJECT_NAME": PROJECT, "TAG": stack_variables["TAG"]}
    # A real tenant's certificate is of an authority that the image knows.
    variables |= {"EGRESS_AUTHORITIES": "/run/secrets/authority.pem"}
    stack = Stack(containers, variables, root)
    try:
        result = stack.run("up")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Sign in  at your tenant\n" in result.stdout
        assert "Trust" not in result.stdout
        assert "shown" not in result.stdout + result.stderr
        # For a tenant, and for what is left of a trial.
        stack.compose("build", "identity", COMPOSE_PROFILES="identity")
        yield stack
    finally:
        stack.down(VOLUMES="1")


@contextmanager
def tenant(stack: Stack, folder: Path) -> Iterator[None]:
    """A provider that Compose knows nothing of, where the app finds it."""
    port, origin = stack.variables["IDENTITY_PORT"], stack.origin
    certificate, key = authority(stack.authority.parent).issue()
    for path in (certificate, key):
        shutil.copy(path, folder / path.name)
        (folder / path.name).chmod(0o644)
    client = {"client_id": CLIENT, "redirect_uris": [f"{origin}/callback"], "allowed_logout_urls": [origin]}
    (folder / "clients.json").write_text(json.dumps([client]))
    folder.chmod(0o755)
    variables = {
        "IDENTITY_PORT": port,
        "IDENTITY_TUNNEL": TUNNEL_PORT,
        "IDENTITY_CLIENTS": "/given/clients.json",
        "IDENTITY_CERTIFICATE": f"/given/{certificate.name}",
        "IDENTITY_KEY": f"/given/{key.name}",
    }
    options = [f"--env={name}={value}" for name, value in variables.items()]
    options += ["--publish", f"127.0.0.1:{port}:{port}", "--volume", f"{folder}:/given:ro"]
    options += ["--network", f"{PROJECT}_egress", "--network-alias", TENANT, "--health-interval=1s"]
    name = f"{PROJECT}-{TENANT}"
    try:
        stack.docker("run", "--detach", "--name", name, *options, stack.image("identity"))
        health = ("inspect", "--format", "{{.State.Health.Status}}", name)
        wait_until(lambda: stack.docker(*health) == "healthy", "the tenant")
        yield
    finally:
        stack.docker("rm", "--force", "--volumes", name)


@pytest.fixture(scope="module")
def trusted(own: Stack, given: CA) -> Path:
    """Authorities of who was told of the certificate that was brought, and of the tenant's."""
    path = given.path.with_name("trusted.pem")
    path.write_text(given.path.read_text() + own.authority.read_text())
    return path


def test_with_a_tenant_of_ones_own_there_is_no_provider_and_people_sign_in_there(
    own: Stack, trusted: Path, tmp_path: Path
) -> None:
    assert sorted(own.containers()) == sorted(map(own.container, SERVICES))
    with tenant(own, tmp_path), own.visitor(trusted) as somebody:
        somebody.sign_in_at_the_app()
    # What was given as a value and what was given as a file are files both, and nothing that the engine shows.
    read = "import pathlib, sys; print(*[pathlib.Path('/run/secrets', name).read_text() for name in sys.argv[1:]])"
    given = {"auth0_client_secret": CLIENT_SECRET, "auth0_secret": APP_SECRET, "auth0_proxy_url": PROXY_URL}
    found = own.docker("exec", own.container("app-1"), "python", "-c", read, *given)
    assert found.split() == [*given.values()]
    shown = "".join(json.dumps(own.inspect(service)) for service in (*SERVICES, "init"))
    assert not [secret for secret in found.split() if secret in shown]


def test_the_certificate_of_ones_own_is_the_one_that_is_shown(own: Stack, given: CA) -> None:
    # Signed by nobody else.
    with connect(int(own.variables["HTTPS_PORT"]), ssl.create_default_context(cafile=given.path)) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        shown = client.socket.getpeercert(binary_form=True)
    assert shown
    assert ssl.DER_cert_to_PEM_cert(shown) in (given.folder / "own.pem").read_text()


def test_down_leaves_nothing_but_the_data_with_which_people_are_signed_in_at_the_next_up(
    own: Stack, trusted: Path, tmp_path: Path
) -> None:
    with own.visitor(trusted) as somebody:
        with tenant(own, tmp_path):
            somebody.sign_in_at_the_app()
        said = own.down()
        assert "make down VOLUMES=1" in said
        assert own.left("container") == own.left("network") == []
        kept = own.left("volume")
        assert f"{PROJECT}_redis-data" in kept
        own.up()
        assert own.left("volume") == kept
        assert somebody.is_signed_in()


def test_in_development_a_changed_page_is_served_at_once_and_without_the_file_all_is_as_before(
    own: Stack, trusted: Path
) -> None:
    override = own.root / "compose.override.yaml"
    template = own.root / "app" / "pages" / "templates" / "home.html"
    view = own.root / "app" / "pages" / "routes.py"
    before = own.containers()
    # As after a trial with the local provider.
    own.compose("up", "--detach", "--no-build", "--no-deps", "identity", COMPOSE_PROFILES="identity")
    assert own.container("identity") in own.containers()
    shutil.copy(own.root / "compose.override.example.yaml", override)
    assert "Removing identity, which is not among the services any more ..." in own.up()
    try:
        assert own.containers().keys() == before.keys()
        with own.visitor(trusted) as somebody:
            for path, old, new in (
                (template, "Welcome!", "Changed in the template!"),
                (
                    view,
                    'return render_template("home.html"',
                    'return "Changed in the view!" + render_template("home.html"',
                ),
            ):
                text = path.read_text()
                assert old in text
                path.write_text(text.replace(old, new, 1))
                # Each of the two replicas starts anew by itself.
                wait_until(
                    lambda: all("Changed in the" in somebody.get("/").text for _ in range(8)), f"{path.name} anew"
                )
                path.write_text(text)
                wait_until(lambda: all("Changed in the" not in somebody.get("/").text for _ in range(8)), "as before")
    finally:
        override.unlink()
    own.up()
    assert own.inspect("app-1")["Path"] == "gunicorn"
    assert own.containers()[own.container("redis")] == before[own.container("redis")]


def test_down_with_volumes_leaves_nothing_at_all(own: Stack) -> None:
    assert own.left("volume")
    own.down(VOLUMES="1")
    assert own.left("container") == own.left("network") == own.left("volume") == []
