"""TLS as Mozilla's Intermediate profile has it (guideline 6.0), judged by handshakes and by sslyze."""

import datetime
import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.nginx.client import connect
from tests.nginx.conftest import RunSite, Site
from tests.servers.certificates import CA
from tests.servers.nginx import ROOT, Pair

SSLYZE = ROOT / ".local" / "nginx-tools" / "bin" / "sslyze"
STRENGTHS = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
TLS_1_2 = {f"TLS_ECDHE_{kind}_WITH_{strength}" for kind in ("ECDSA", "RSA") for strength in STRENGTHS}
TLS_1_3 = {f"TLS_{strength}" for strength in STRENGTHS}
GROUPS = {"X25519", "secp256r1", "secp384r1"}


@pytest.fixture(scope="session")
def rsa_pair(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate for localhost with an RSA key of 2048 bits."""
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.UTC)
    identifier = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(issuer, critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca.key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("rsa")
    (folder / "rsa.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "rsa-key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "rsa.pem", folder / "rsa-key.pem"


@pytest.fixture(scope="module")
def both(run_site: RunSite, pair: Pair, rsa_pair: Pair) -> Iterator[Site]:
    """A site with an ECDSA and an RSA certificate."""
    with run_site() as site:
        site.server.stop()
        site.server.certify(pair, rsa_pair)
        site.server.start()
        yield site


def handshake(site: Site, ca: CA, **options: Any) -> None:
    """Connect with the options of ssl.SSLContext; ssl.SSLError when refused."""
    context = ssl.create_default_context(cafile=ca.path)
    # The policy of the machine's library is not what is tested.
    context.set_ciphers("ALL:@SECLEVEL=0")
    for name, value in options.items():
        if callable(getattr(context, name)):
            getattr(context, name)(value)
        else:
            setattr(context, name, value)
    with connect(site.server.https_port, context, "localhost"):
        pass


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_protocols_are_refused(site: Site, ca: CA, version: str) -> None:
    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|NO_PROTOCOLS"):
        handshake(site, ca, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=getattr(ssl.TLSVersion, version))


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
@pytest.mark.parametrize("strength", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"])
def test_tls_1_2_is_spoken_with_either_certificate(both: Site, ca: CA, kind: str, strength: str) -> None:
    cipher = f"ECDHE-{kind}-{strength}"
    handshake(both, ca, set_ciphers=cipher, maximum_version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize(
    "cipher",
    ["DHE-RSA-AES256-GCM-SHA384", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"],
)
def test_other_ciphers_are_refused(both: Site, ca: CA, cipher: str) -> None:
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        handshake(both, ca, set_ciphers=cipher, maximum_version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "X25519"])
def test_the_groups_of_the_profile_work(site: Site, ca: CA, curve: str) -> None:
    handshake(site, ca, set_ecdh_curve=curve)


@pytest.mark.parametrize("curve", ["secp521r1", "brainpoolP256r1"])
def test_other_groups_are_refused(site: Site, ca: CA, curve: str) -> None:
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        handshake(site, ca, set_ecdh_curve=curve, maximum_version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def test_a_session_is_resumed_by_any_worker_without_tickets(site: Site, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=site.ca.path)
    context.maximum_version = version
    session = None
    for number in range(8):
        with connect(site.server.https_port, context, "localhost", session=session) as client:
            # In TLS 1.3 the session comes after the handshake.
            assert client.get(f"/resumed/{number}").status == 200
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.session_reused == (number > 0)
            session = client.socket.session
            assert session is not None
            if version == ssl.TLSVersion.TLSv1_2:
                assert not session.has_ticket
    assert site.server.line(path="/resumed/7")["tls_resumed"] == "r"


def _sslyze(site: Site, *options: str) -> tuple[str, dict[str, Any]]:
    if not SSLYZE.exists():
        raise RuntimeError("sslyze is missing: `make .local/nginx-tools/nginx`.")
    report = site.server.folder / "sslyze.json"
    command = [SSLYZE, *options, f"--json_out={report}", f"localhost:{site.server.https_port}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    found = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    return result.stdout + result.stderr, found


@pytest.fixture(scope="module")
def judged(both: Site) -> tuple[str, dict[str, Any]]:
    """What sslyze says, and its measurements."""
    return _sslyze(both, "--mozilla_config=intermediate", f"--certinfo_ca_file={both.ca.path}")


def _suites(found: dict[str, Any], version: str) -> set[str]:
    accepted = found[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"]
    return {suite["cipher_suite"]["name"] for suite in accepted}


def test_sslyze_finds_mozilla_s_intermediate_profile(judged: tuple[str, dict[str, Any]]) -> None:
    said, _ = judged
    assert "OK - Compliant" in said, said


def test_sslyze_finds_exactly_the_protocols_ciphers_and_groups_of_the_profile(
    judged: tuple[str, dict[str, Any]],
) -> None:
    _, found = judged
    assert {version: _suites(found, version) for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")} == {
        "ssl_2_0": set(),
        "ssl_3_0": set(),
        "tls_1_0": set(),
        "tls_1_1": set(),
    }
    assert _suites(found, "tls_1_2") == TLS_1_2
    assert _suites(found, "tls_1_3") == TLS_1_3
    assert {curve["name"] for curve in found["elliptic_curves"]["result"]["supported_curves"]} == GROUPS


def test_sslyze_finds_no_known_weakness(judged: tuple[str, dict[str, Any]]) -> None:
    _, found = judged
    results = {name: found[name]["result"] for name in found if isinstance(found[name].get("result"), dict)}
    assert results["tls_compression"]["supports_compression"] is False
    assert results["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert results["session_renegotiation"]["supports_secure_renegotiation"] is True
    assert results["heartbleed"]["is_vulnerable_to_heartbleed"] is False
    assert results["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"] is False
    assert results["robot"]["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
    assert results["tls_fallback_scsv"]["supports_fallback_scsv"] is True


def test_a_request_is_never_taken_from_early_data(site: Site) -> None:
    _, found = _sslyze(site, "--early_data")
    assert found["tls_1_3_early_data"]["result"]["supports_early_data"] is False


def test_a_new_certificate_is_taken_by_a_reload_that_drops_nothing(run_site: RunSite, ca: CA) -> None:
    with run_site() as site, site.tls() as kept:
        assert kept.get("/before").status == 200
        first = _presented(site)
        kept.send(b"POST /during HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nha")
        renewed = ca.issue(stem="renewed")
        site.server.certify(renewed)
        assert _presented(site) == first
        site.server.reload()
        assert _presented(site) == ssl.PEM_cert_to_DER_cert(Path(renewed[0]).read_text()) != first
        kept.send(b"lf")
        assert kept.response().status == 200
        assert site.upstream.requests[-1].body == b"half"


def test_a_reload_with_a_broken_certificate_changes_nothing(run_site: RunSite, pair: Pair, tmp_path: Path) -> None:
    with run_site() as site:
        workers = site.server.workers()
        (tmp_path / "broken.pem").write_text("broken")
        site.server.certify((tmp_path / "broken.pem", pair[1]))
        site.server.hang_up()
        site.server.wait_for_error("cannot load certificate")
        assert site.get("/").status == 200
        assert site.server.workers() == workers


def _presented(site: Site) -> bytes:
    with site.tls() as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return client.socket.getpeercert(binary_form=True) or b""
