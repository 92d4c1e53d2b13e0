"""What `make up` says to what it cannot use: one sentence with the fix, and nothing is built or started."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.certificates import authority
from scripts.containers.client import Client
from tests.compose.stack import Stack
from tests.servers.ports import free_ports

PROJECT = "auth0-flask-refused"
TENANT = {
    "AUTH0_DOMAIN": "acme.eu.auth0.com",
    "AUTH0_CLIENT_ID": "k5u3o2fiAA8XweXEEX604KCwCjzjtMU6",
    "AUTH0_CLIENT_SECRET": "R2Vb1XhVvJY0vCqKdW8fYVJwNn3KcQy7",
}
Refuse = Callable[..., str]


@pytest.fixture
def refuse(containers: Client, stack_variables: dict[str, str], checkout: Path) -> Iterator[Refuse]:
    """Gives what `make up` says to other variables, or to a .env file, after what it says *before*; nothing may have
    begun."""
    ports = {name: str(port) for name, port in zip(("HTTPS_PORT", "HTTP_PORT"), free_ports(2), strict=True)}
    variables = (
        stack_variables | ports | {"COMPOSE_PROJECT_NAME": PROJECT, "TAG": "refused", "COMPOSE_PROFILES": "none"}
    )
    del variables["ENV_FILE"]

    def run(env_file: dict[str, str] | None = None, before: str = "", **more: str) -> str:
        if env_file is not None:
            lines = [f"{name}={value}\n" for name, value in env_file.items()]
            (checkout / ".env").write_text("".join(lines))
        result = Stack(containers, variables, checkout).run("up", **more)
        assert result.returncode == 1
        assert result.stdout == before
        assert result.stderr.startswith("`make up` cannot go on. ")
        return result.stderr.removeprefix("`make up` cannot go on. ").strip()

    yield run
    (checkout / ".env").unlink(missing_ok=True)
    label = f"label=com.docker.compose.project={PROJECT}"
    for command in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
        assert containers.docker(*command, "--quiet", "--filter", label) == ""
    assert containers.docker("images", "--quiet", f"{PROJECT}:refused") == ""


def test_a_file_with_settings_that_is_missing(refuse: Refuse) -> None:
    said = refuse(ENV_FILE="production.env")
    assert said.startswith("ENV_FILE names production.env, which is no file: copy .env.example to it and fill it in")


def test_a_tenant_that_is_named_in_half(refuse: Refuse) -> None:
    said = refuse({"AUTH0_DOMAIN": "acme.eu.auth0.com"})
    assert said.startswith(".env cannot be used. The settings have 2 problems:")
    assert "AUTH0_CLIENT_ID is missing" in said
    assert "AUTH0_CLIENT_SECRET" in said


def test_a_setting_that_is_misspelt(refuse: Refuse) -> None:
    assert "AUTH0_DOMIAN is no setting of this app: probably AUTH0_DOMAIN" in refuse(TENANT | {"AUTH0_DOMIAN": "x"})


def test_the_callback_of_a_development_server(refuse: Refuse) -> None:
    said = refuse(TENANT | {"AUTH0_REDIRECT_URI": "http://localhost:5000/callback", "APP_ENV": "development"})
    assert "AUTH0_REDIRECT_URI is plain http, which production refuses" in said


def test_a_callback_on_another_port_than_nginx(refuse: Refuse) -> None:
    said = refuse(TENANT | {"AUTH0_REDIRECT_URI": "https://localhost:8444/callback"})
    assert said.startswith("AUTH0_REDIRECT_URI is https://localhost:8444/callback, but nginx is published on port ")
    assert said.endswith("for example `make up HTTPS_PORT=8444`.")


@pytest.mark.parametrize("name", ["AUTH0_CLIENT_SECRET", "AUTH0_SECRET"])
@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file or directory"), ("", "is empty in"), ("short", "")]
)
def test_a_secret_file_that_is_missing_or_wrong(
    refuse: Refuse, tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    if (name, content) == ("AUTH0_CLIENT_SECRET", "short"):
        content, words = "your_client_secret", "still has the placeholder of the guide"
    elif content == "short":
        words = "is shorter than 32 characters"
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    given = {key: value for key, value in TENANT.items() if key != name}
    said = refuse(given | {f"{name}_FILE": str(path)})
    assert f"{name} " in said
    assert words in said
    assert said.startswith(".env cannot be used. The settings have one problem:")


@pytest.mark.parametrize("name", ["AUTH0_CLIENT_SECRET", "AUTH0_PROXY_URL", "AUTH0_SECRET"])
def test_a_secret_in_the_environment(refuse: Refuse, name: str) -> None:
    # Another than the file's, which alone would count.
    given = TENANT | {"AUTH0_PROXY_URL": "http://proxy.example:3128"}
    value = "http://user:secret@proxy.example:3128" if name == "AUTH0_PROXY_URL" else "0123456789abcdef" * 4
    said = refuse(given, **{name: value})
    assert said == (
        f"{name} is set in the environment, from which no secret is taken: write it into .env, or into a file that"
        f" {name}_FILE names."
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "ALERTMANAGER_PAGE_FILE",
            "nowhere",
            "ALERTMANAGER_PAGE_FILE cannot be read from {root}/nowhere (No such file",
        ),
        ("NGINX_LOGIN_RATE", "5/s", "NGINX_LOGIN_RATE: '5/s' is not right; an example is 5r/s."),
        ("NGINX_DENIED_CLIENTS", "192.0.2.1 x", "NGINX_DENIED_CLIENTS: 'x' is not right; an example is 203.0.113.7 "),
        ("PUBLISH_ADDRESS", "localhost", "PUBLISH_ADDRESS is 'localhost': give an IPv4 address of this machine."),
        ("TAG", "not a tag", "TAG is 'not a tag': give letters, digits, dots and dashes"),
        (
            "COMPOSE_PROFILES",
            "idenity",
            "COMPOSE_PROFILES names 'idenity', which there is not: choose among identity, ",
        ),
        ("WITHOUT", "grafana,promtheus", "WITHOUT names 'promtheus', which there is not: choose among "),
    ],
)
def test_a_variable_that_cannot_be_used(refuse: Refuse, checkout: Path, name: str, value: str, words: str) -> None:
    assert refuse(TENANT, **{name: value}).startswith(words.format(root=checkout))


def test_a_file_that_is_not_text(refuse: Refuse, checkout: Path) -> None:
    (checkout / ".env").write_bytes(b"AUTH0_CLIENT_SECRET=\xff\xfe\n")
    assert refuse() == f"{checkout}/.env is not text in UTF-8: save it as that."


def test_another_one_of_this_checkout(refuse: Refuse, checkout: Path) -> None:
    (checkout / ".local").mkdir(exist_ok=True)
    with (checkout / ".local" / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = refuse(TENANT)
    assert said == "Another `make up` or `make down` of this checkout runs: wait for its end."


def test_a_certificate_that_cannot_be_used(refuse: Refuse, tmp_path: Path) -> None:
    ca = authority(tmp_path)
    certificate, key = map(str, ca.issue())
    _, other = map(str, ca.issue(stem="other"))
    for pair, words in (
        ({"TLS_CERTIFICATE": certificate}, "TLS_KEY is missing: TLS_CERTIFICATE and TLS_KEY must be set together."),
        ({"TLS_CERTIFICATE": "/nowhere.pem", "TLS_KEY": key}, "TLS_CERTIFICATE cannot be read from /nowhere.pem"),
        ({"TLS_CERTIFICATE": key, "TLS_KEY": key}, "TLS_CERTIFICATE is no certificate in PEM"),
        ({"TLS_CERTIFICATE": certificate, "TLS_KEY": certificate}, "TLS_KEY is no private key in PEM"),
        ({"TLS_CERTIFICATE": certificate, "TLS_KEY": other}, "TLS_KEY is not the key of TLS_CERTIFICATE"),
    ):
        assert refuse(TENANT, **pair).startswith(words)


def test_a_port_that_is_taken(refuse: Refuse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refuse(TENANT, HTTP_PORT=str(port))
    assert said.startswith(f"Port {port}, for nginx's redirect from plain HTTP, is taken by ")
    assert f"(process {os.getpid()}): stop that, or choose another port with `make up HTTP_PORT=" in said


@pytest.mark.parametrize("port", ["https", "0", "65536"])
def test_a_port_that_is_none(refuse: Refuse, port: str) -> None:
    assert refuse(TENANT, HTTPS_PORT=port) == f"HTTPS_PORT is '{port}': give a port from 1 to 65535, for example 8443."


def test_an_engine_that_is_away(refuse: Refuse, tmp_path: Path) -> None:
    said = refuse(TENANT, DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert said.startswith("No Docker engine answers (")
    assert said.endswith("): start it, or set DOCKER_HOST.")


def test_no_docker_at_all(refuse: Refuse, tmp_path: Path) -> None:
    said = refuse(TENANT, PATH=str(tmp_path))
    assert said == "Docker is not on PATH: install Docker Engine and its Compose plugin."


@pytest.mark.parametrize(
    ("engine", "compose", "words"),
    [
        ("19.03.15", "2.26.1", "Docker Engine is 19.3, too old: install 20.10 or newer."),
        ("28.5.1", "2.17.3", "Docker Compose is 2.17, too old: install 2.26 or newer."),
        ("28.5.1", "", "Docker has no Compose plugin: install Docker Compose 2.26 or newer."),
    ],
)
def test_a_docker_that_is_too_old(refuse: Refuse, tmp_path: Path, engine: str, compose: str, words: str) -> None:
    # Such an old one is not to be had here; what it would answer is all that is asked of it.
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo {engine} && exit\n[ "{compose}" ] && echo {compose}\n')
    docker.chmod(0o755)
    assert refuse(TENANT, PATH=f"{tmp_path}:{os.environ['PATH']}") == words


def test_an_image_that_cannot_be_pulled(refuse: Refuse) -> None:
    # A port at which nobody is a registry.
    image = f"127.0.0.1:{free_ports(1)[0]}/redis:8"
    said = refuse(TENANT, before=f"Pulling {image} ...\n", REDIS_IMAGE=image)
    assert said.startswith(f"{image} cannot be pulled (")
    assert said.endswith("): go online, or name another with `make up REDIS_IMAGE=...`.")


def test_a_checkout_that_the_containers_could_not_read(refuse: Refuse, checkout: Path) -> None:
    path = checkout / "deploy" / "redis" / "redis.conf"
    path.chmod(0o600)
    try:
        said = refuse(TENANT)
    finally:
        path.chmod(0o644)
    assert said == "deploy/redis/redis.conf is not readable for the containers' user: `chmod -R go+rX deploy`."
