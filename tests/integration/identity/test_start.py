"""Starting and stopping the provider, and what it says when that cannot be."""

import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from scripts.certificates import CA
from tests.servers.identity import CONFIGURATION, FOLDER, READY, ROOT, command, identity, node

DEFAULT = ["--config", str(FOLDER / "identity.json")]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The provider's process, which is expected to end by itself."""
    line = [node(), str(FOLDER / "server.mjs"), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")} | variables
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60, env=environment, cwd=ROOT)


def refuse(ca: CA, *options: str, **variables: str) -> str:
    """The one thing that it says on stderr when it does not start."""
    ended = run(*command(ca, *options)[2:], **variables)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert "    at " not in ended.stderr, "a stack trace"
    return ended.stderr.strip()


def changed(path: Path, change: dict[str, Any]) -> str:
    path.write_text(json.dumps(CONFIGURATION | change))
    return str(path)


def test_it_says_one_line_when_ready_and_nothing_else(ca: CA, provider: object) -> None:
    process = subprocess.Popen(
        command(ca, *DEFAULT, "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout
    line = process.stdout.readline()
    process.terminate()
    rest, errors = process.communicate(timeout=60)

    assert READY.fullmatch(line)
    assert (rest, errors) == ("", "")
    assert process.returncode == 0


def test_it_ends_at_once_although_a_connection_is_open(ca: CA) -> None:
    with identity(ca) as provider, provider.client() as http:
        http.get("/healthz")
        provider.knobs.delay("/userinfo", 60)
        provider.stop()
        assert provider.process.returncode == 0


def test_options_may_stand_in_the_environment(ca: CA, tmp_path: Path) -> None:
    ended = run(
        IDENTITY_CONFIG=str(tmp_path / "missing.json"), IDENTITY_CERTIFICATE=str(ca.path), IDENTITY_KEY=str(ca.path)
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith(str(tmp_path / "missing.json"))


def test_the_issuer_may_have_another_name(ca: CA, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(ca, *DEFAULT, "--port", "0", "--issuer", "https://identity.example/"),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    with process.stdout:
        line = process.stdout.readline()
    process.terminate()
    process.wait(60)

    assert line == "identity provider ready: https://identity.example/\n"


def test_a_taken_port_is_a_sentence(ca: CA) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refuse(ca, *DEFAULT, "--port", str(port))

    assert message == f"Cannot listen on 127.0.0.1:{port}, it is taken: choose another place."


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--config (or IDENTITY_CONFIG) is missing"),
        ([*DEFAULT, "--port", "99999"], "give a port from 0 to 65535"),
        ([*DEFAULT, "--port", "http"], "give a port from 0 to 65535"),
        ([*DEFAULT, "--knobs", "12x"], "give a port from 0 to 65535"),
        ([*DEFAULT, "--issuer", "https://localhost:9443"], "with its trailing slash"),
        ([*DEFAULT, "--issuer", "http://localhost:9443/"], "give an https origin"),
        ([*DEFAULT, "--issuer", "localhost"], "give an https origin"),
        ([*DEFAULT, "--tunnel", "many"], '--tunnel is "many": give a port from 0 to 65535'),
        ([*DEFAULT, "--connect-to", "nginx:8443"], "for example localhost:8443=nginx:8443"),
        ([*DEFAULT, "--connect-to", "localhost:8443=nginx:99999"], '--connect-to is "99999": give a port'),
        ([*DEFAULT, "--key-file", "/nowhere/key"], "The signing key in /nowhere/key cannot be used (ENOENT)"),
        ([*DEFAULT, "--key-file", str(FOLDER / "package.json")], "cannot be used (it is no private RSA key)"),
        ([*DEFAULT, "--colour", "red"], "the options are --config, --clients"),
        ([*DEFAULT, "--ca", "/nowhere.pem"], "/nowhere.pem cannot be read (ENOENT)"),
        ([*DEFAULT, "--clients", "/nowhere.json"], "/nowhere.json cannot be read (ENOENT)"),
        ([*DEFAULT, "--certificate", str(FOLDER / "identity.json")], "give a matching pair in PEM"),
        (["--config", str(FOLDER / "README.md")], "README.md is not JSON"),
        ([*DEFAULT, "--port", "0", "--host", "192.0.2.1"], "the address is not of this machine"),
        ([*DEFAULT, "--port", "0", "--knobs", "/nowhere/knobs"], "Cannot listen on /nowhere/knobs"),
    ],
)
def test_a_wrong_option_is_a_sentence_with_the_fix(ca: CA, options: list[str], words: str) -> None:
    message = refuse(ca, *options)

    assert words in message
    assert "\n" not in message
    assert message.endswith(".")


def test_without_a_certificate_it_says_how_to_make_one() -> None:
    ended = run(*DEFAULT)

    assert ended.returncode == 2
    assert "python scripts/certificates.py .local/certificates" in ended.stderr


JANE, CLIENT = CONFIGURATION["users"][0], CONFIGURATION["clients"][0]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({"users": []}, ["users is empty: it needs at least 1 entry."]),
        ({"users": {}}, ["users is {}: it must be a list."]),
        ({"colour": 1}, ["colour is not known: remove it or use one of connections, users"]),
        (
            {"users": [JANE | {"email": "jane", "blocked": "no", "pasword": "x"}]},
            [
                'users[0].email is "jane": it must be an e-mail address.',
                "users[0].blocked is",
                "users[0].pasword is not known",
            ],
        ),
        ({"users": [{key: JANE[key] for key in JANE if key != "password"}]}, ["users[0].password is missing: add it."]),
        ({"users": [JANE | {"user_id": "jane"}]}, ['it must be of the form "auth0|0123abcd"']),
        ({"users": [JANE | {"claims": {"roles": []}}]}, ["it must be namespaced"]),
        ({"users": [JANE | {"updated_at": "yesterday"}]}, ["users[0].updated_at is"]),
        ({"users": [JANE, JANE]}, ["users has username jane@example.com twice: remove one."]),
        (
            {"organizations": [{"id": "acme", "name": "Acme", "display_name": "A", "members": []}]},
            ['"org_0123abcd"', "lower case"],
        ),
        ({"users": [JANE]}, ["Organization acme has the member auth0|6650c1b1f4c0aa0001a11ce7, who is no user"]),
        ({"apis": [{"audience": "my-api", "scopes": ["a b"]}]}, ["an absolute URI", "a scope without spaces"]),
        (
            {"clients": [CLIENT | {"redirect_uris": ["http://app.example/", "http://localhost.app.example/", "x:/"]}]},
            [f"clients[0].redirect_uris[{number}] is" for number in range(3)],
        ),
        (
            {"clients": [CLIENT | {"allowed_logout_urls": ["http://localhost@app.example/"]}]},
            ["clients[0].allowed_logout_urls[0] is"],
        ),
        (
            {"clients": [CLIENT | {"jwks": {"keys": [{"kty": "RSA"}]}}]},
            ["must have either client_secret, jwks or tls_client_auth_san_dns"],
        ),
        ({"clients": [CLIENT | {"backchannel_logout_uri": "/logout"}]}, ["an https URL without a fragment"]),
    ],
)
def test_every_mistake_in_the_file_is_listed(
    ca: CA, tmp_path: Path, change: dict[str, Any], sentences: list[str]
) -> None:
    path = changed(tmp_path / "identity.json", change)
    message = refuse(ca, "--config", path)

    for sentence in sentences:
        assert sentence in message
    assert all(line.startswith(f"{path}: ") and line.endswith(".") for line in message.splitlines())


def test_overrides_of_clients_are_checked_too(ca: CA, tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    path.write_text('[{"client_id": "new"}]')
    assert "clients[2].redirect_uris is missing" in refuse(ca, *DEFAULT, "--clients", str(path))
    path.write_text('{"client_id": "new"}')
    assert "The file must be a list of clients." in refuse(ca, *DEFAULT, "--clients", str(path))


def test_a_file_in_the_place_of_the_knobs_socket_is_left_alone(ca: CA, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("kept")

    assert f"Cannot listen on {path}" in refuse(ca, *DEFAULT, "--port", "0", "--knobs", str(path))
    assert path.read_text() == "kept"


def test_the_socket_of_a_killed_process_is_no_hindrance(ca: CA) -> None:
    with tempfile.TemporaryDirectory(prefix="identity-") as folder:
        path = Path(folder) / "knobs"
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(path))
        options = [*DEFAULT, "--port", "0", "--knobs", str(path)]
        process = subprocess.Popen(command(ca, *options), stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout
        with process.stdout:
            assert READY.fullmatch(process.stdout.readline())
        assert path.stat().st_mode & 0o777 == 0o600
        process.terminate()
        assert process.wait(60) == 0


def test_it_listens_on_loopback_unless_told_otherwise(provider: Any) -> None:
    port = int(provider.domain.split(":")[1])
    addresses = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}

    assert f"0100007F:{port:04X}" in addresses
    assert f"00000000:{port:04X}" not in addresses
