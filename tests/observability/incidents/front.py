"""What goes wrong with nginx."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.certificates import CA
from tests.observability.incidents.place import Place, incident
from tests.servers.nginx import nginx


@incident(CertificateExpiring="page")
def a_certificate_that_nobody_renewed(place: Place) -> None:
    """nginx shows a certificate that ends in two days."""
    pair = _short_lived(place.provider.ca, place.folder, datetime.timedelta(days=2))
    server = place.stack.enter_context(nginx(pair, upstream="127.0.0.1:1"))
    place.watch.scrape_certificate(place.namespace, f"127.0.0.1:{server.https_port}")


@incident(NginxNotAnswering="page")
def nginx_is_stopped(place: Place) -> None:
    """nginx ends, after it has been seen to answer."""
    server = place.stack.enter_context(nginx(place.provider.ca.issue(), upstream="127.0.0.1:1"))
    place.watch.scrape_certificate(place.namespace, f"127.0.0.1:{server.https_port}")
    place.app()
    place.watch.prometheus.wait_for(f'nginx_probe_success{{namespace="{place.namespace}"}} == 1')
    server.stop()


def _short_lived(ca: CA, folder: Path, lifetime: datetime.timedelta) -> tuple[Path, Path]:
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(ca.key, hashes.SHA256())
    )
    paths = folder / "short.pem", folder / "short-key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(*encoding))
    return paths
