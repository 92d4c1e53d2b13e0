"""The local authority: what it issues is accepted for loopback, and nothing of it for anything else."""

import datetime
import socket
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from scripts import certificates
from scripts.certificates import CA, NotPermittedError, authority

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ca(tmp_path: Path) -> CA:
    return authority(tmp_path)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def handshake(certificate: Path, key: Path, trusted: Path, name: str) -> str | None:
    """The protocol that a client agrees on with a server called *name*. Raises ssl.SSLCertVerificationError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(trusted))
    # What Python 3.13 has switched on for everybody.
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    def serve(end: socket.socket) -> None:
        with end:
            try:
                server.wrap_socket(end, server_side=True).close()
            except OSError:
                return

    left, right = socket.socketpair()
    thread = threading.Thread(target=serve, args=(left,))
    thread.start()
    try:
        with right, client.wrap_socket(right, server_hostname=name) as connection:
            return connection.version()
    finally:
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_leaf_is_accepted_for_loopback_by_a_strict_client(ca: CA, name: str) -> None:
    assert handshake(*ca.issue(), ca.path, name) == "TLSv1.3"


def test_a_leaf_is_accepted_for_given_names(tmp_path: Path) -> None:
    ca = authority(tmp_path, permitted=["identity", "10.1.2.3"])
    leaf = ca.issue(["identity", "app.localhost", "10.1.2.3", "127.0.0.9"])

    for name in ("identity", "app.localhost", "10.1.2.3", "127.0.0.9"):
        assert handshake(*leaf, ca.path, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(*leaf, ca.path, "other.localhost")


@pytest.mark.parametrize("name", ["example.com", "notlocalhost", "localhost.example.com", "10.0.0.1", "fe80::1"])
def test_a_name_elsewhere_is_not_issued(ca: CA, name: str) -> None:
    with pytest.raises(NotPermittedError, match="may not issue for"):
        ca.issue([name])


@pytest.mark.parametrize(
    "name", [x509.DNSName("example.com"), x509.IPAddress(certificates.ipaddress.ip_address("10.0.0.1"))]
)
def test_who_steals_the_authority_cannot_use_it_for_a_name_elsewhere(
    ca: CA, tmp_path: Path, name: x509.GeneralName
) -> None:
    with patch.object(certificates, "general_name", lambda _: name), patch.object(CA, "permits", lambda *_: True):
        leaf = ca.issue(stem="stolen")

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(*leaf, ca.path, str(name.value))


def test_the_certificates_are_as_browsers_want_them(ca: CA) -> None:
    leaf = load(ca.issue()[0])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1", "::1"]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= datetime.timedelta(days=366)
    for certificate in (leaf, ca.certificate):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
        assert certificate.not_valid_before_utc < datetime.datetime.now(datetime.UTC)
    constraints = ca.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert ca.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    authority(folder).issue()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == dict.fromkeys(["ca.pem", "ca-key.pem", "localhost.pem", "localhost-key.pem"], 0o600)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_valid_is_kept(ca: CA, tmp_path: Path) -> None:
    ca.issue()
    before = contents(tmp_path)
    authority(tmp_path).issue()

    assert contents(tmp_path) == before


def test_a_leaf_that_expires_within_30_days_is_renewed(ca: CA, tmp_path: Path) -> None:
    with patch.object(certificates, "LEAF_LIFETIME", datetime.timedelta(days=29)):
        ca.issue()
    before = contents(tmp_path)
    again = authority(tmp_path)
    again.issue()

    after = contents(tmp_path)
    assert after["ca.pem"] == before["ca.pem"]
    assert after["localhost.pem"] != before["localhost.pem"]
    assert handshake(*again.issue(), ca.path, "localhost")


def test_an_authority_that_expires_within_30_days_is_renewed_with_its_leaves(tmp_path: Path) -> None:
    with patch.object(certificates, "CA_LIFETIME", datetime.timedelta(days=29)):
        authority(tmp_path).issue()
    before = contents(tmp_path)
    ca = authority(tmp_path)
    leaf = ca.issue()

    assert not set(contents(tmp_path).values()) & set(before.values())
    assert handshake(*leaf, ca.path, "localhost")


def test_other_names_make_another_leaf(ca: CA) -> None:
    first = ca.issue()[0].read_bytes()
    second = ca.issue(["app.localhost"])[0].read_bytes()

    assert second != first
    assert ca.issue(["app.localhost"])[0].read_bytes() == second


def test_names_that_the_authority_does_not_permit_make_another_authority(ca: CA, tmp_path: Path) -> None:
    assert authority(tmp_path, permitted=["localhost", "127.0.0.1"]).certificate == ca.certificate
    other = authority(tmp_path, permitted=["nginx"])

    assert other.certificate != ca.certificate
    assert authority(tmp_path).certificate == other.certificate
    assert handshake(*other.issue(["nginx"]), other.path, "nginx")


@pytest.mark.parametrize("name", ["ca.pem", "ca-key.pem", "localhost.pem", "localhost-key.pem"])
@pytest.mark.parametrize("content", [b"", b"not PEM", None])
def test_a_broken_or_missing_file_is_made_anew(ca: CA, tmp_path: Path, name: str, content: bytes | None) -> None:
    ca.issue()
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    again = authority(tmp_path)

    assert handshake(*again.issue(), again.path, "localhost")


def test_files_of_different_origin_are_not_taken_for_a_pair(ca: CA, tmp_path: Path) -> None:
    other = authority(tmp_path / "other")
    other.issue()
    ca.issue()
    for name in ("localhost-key.pem", "ca-key.pem"):
        (tmp_path / name).write_bytes((tmp_path / "other" / name).read_bytes())
        again = authority(tmp_path)
        assert handshake(*again.issue(), again.path, "localhost")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "scripts" / "certificates.py"), *arguments]
    return subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_makes_the_files_and_says_where_they_are(tmp_path: Path) -> None:
    first, second = run(str(tmp_path / "made")), run(str(tmp_path / "made"))

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    for line in first.stdout.splitlines():
        assert Path(line.split(maxsplit=1)[1]).is_file()


def test_the_command_answers_a_mistake_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = run(str(tmp_path / "file"))

    assert run().returncode == run("--help").returncode == 2
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(f"Cannot write to {tmp_path / 'file'} (")
    assert wrong.stderr.count("\n") == 1
