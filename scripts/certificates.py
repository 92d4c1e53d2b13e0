"""A certificate authority of this machine and leaf certificates of it, for the demo and the tests.

`python scripts/certificates.py FOLDER [NAME...]` makes `ca.pem`, `localhost.pem` and `localhost-key.pem` in FOLDER,
keeps what is valid and renews what expires within 30 days. Trusting the authority risks little: its own certificate
limits it (RFC 5280, 4.2.1.10) to localhost, loopback addresses and the names given when it was made.
"""

import datetime
import ipaddress
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = ("localhost", "127.0.0.1", "::1")
RENEW_BEFORE = datetime.timedelta(days=30)
# Browsers refuse leaves of more than 398 days, Mozilla's guideline says 366.
LEAF_LIFETIME = datetime.timedelta(days=365)
CA_LIFETIME = datetime.timedelta(days=3650)
# A machine whose clock is a little behind still accepts what was just made.
BACKDATED = datetime.timedelta(hours=1)


class NotPermittedError(ValueError):
    """A name for which the authority must not issue; the message says how to permit it."""


@dataclass(frozen=True)
class CA:
    """An authority and the folder with `ca.pem`, `ca-key.pem` and its leaves."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def path(self) -> Path:
        """The authority's certificate in PEM: what clients are given to trust."""
        return self.folder / "ca.pem"

    def permits(self, name: str) -> bool:
        """Whether the authority may issue for *name*, a DNS name or an IP address."""
        constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        return any(_within(name, subtree) for subtree in constraints.permitted_subtrees or ())

    def issue(self, names: Iterable[str] = (), *, stem: str = "localhost") -> tuple[Path, Path]:
        """The paths of a leaf and its key in PEM, for localhost, 127.0.0.1, ::1 and *names*; a valid one is kept.

        *stem* names the files. Raises NotPermittedError for a name outside of the authority's constraints.
        """
        wanted = tuple(dict.fromkeys((*LOOPBACK, *names)))
        for name in wanted:
            if not self.permits(name):
                raise NotPermittedError(
                    f"The authority in {self.folder} may not issue for {name}: "
                    "remove the folder and name it again when the authority is made."
                )
        certificate_path, key_path = self.folder / f"{stem}.pem", self.folder / f"{stem}-key.pem"
        if not self._is_current(certificate_path, key_path, wanted):
            key = ec.generate_private_key(ec.SECP256R1())
            write(key_path, private_pem(key))
            write(certificate_path, pem(self._leaf(key, wanted)))
        return certificate_path, key_path

    def _is_current(self, certificate_path: Path, key_path: Path, names: tuple[str, ...]) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            certificate.verify_directly_issued_by(self.certificate)
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature):
            return False
        return (
            set(found) == {general_name(name) for name in names}
            and key.public_key() == certificate.public_key()
            and not _expires_soon(certificate)
        )

    def _leaf(self, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return (
            builder(_name("localhost"), self.certificate.subject, key.public_key(), LEAF_LIFETIME)
            .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_key_identifier(self.certificate), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def authority(folder: Path | str, *, permitted: Iterable[str] = ()) -> CA:
    """The authority in *folder*, made anew unless it is valid and permits *permitted* names beside loopback."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = tuple(permitted)
    found = _load(folder)
    if found and not _expires_soon(found.certificate) and all(found.permits(name) for name in names):
        return found
    key = ec.generate_private_key(ec.SECP256R1())
    made = CA(folder, _authority_certificate(key, names), key)
    write(folder / "ca-key.pem", private_pem(key))
    write(made.path, pem(made.certificate))
    return made


def _load(folder: Path) -> CA | None:
    try:
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
        certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return CA(folder, certificate, key)


def _authority_certificate(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
    # The serial in the name keeps authorities of several checkouts apart in a browser's list.
    subject = _name(f"auth0-flask local authority {os.urandom(4).hex()}")
    permitted = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
        x509.IPAddress(ipaddress.ip_network("::1/128")),
        *(_subtree(name) for name in names if name not in LOOPBACK),
    ]
    return (
        builder(subject, subject, key.public_key(), CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    """A certificate but for its extensions, valid from a little before now."""
    start = datetime.datetime.now(datetime.UTC) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lifetime)
    )


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    """What a key may be used for."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(name: str) -> x509.GeneralName:
    """A DNS name or an IP address, for SubjectAlternativeName."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subtree(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_network(name))
    except ValueError:
        return x509.DNSName(name)


def _within(name: str, subtree: x509.GeneralName) -> bool:
    wanted = general_name(name)
    if isinstance(wanted, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        return ipaddress.ip_address(name) in ipaddress.ip_network(str(subtree.value))
    if isinstance(wanted, x509.DNSName) and isinstance(subtree, x509.DNSName):
        return name == subtree.value or name.endswith(f".{subtree.value}")
    return False


def _expires_soon(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC) + RENEW_BEFORE


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as files have it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as files have it (PKCS #8)."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read."""
    # Written aside and moved: a process that starts meanwhile reads the old file or the new one, never half of it.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    aside.replace(path)


def main(arguments: list[str]) -> int:
    """Make or renew the files and print their paths; 2 when the folder is missing or cannot be written."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: certificates.py FOLDER [NAME...]", file=sys.stderr)
        return 2
    folder, *names = arguments
    try:
        ca = authority(folder, permitted=names)
        certificate, key = ca.issue(names)
    except OSError as error:
        print(f"Cannot write to {folder} ({error.strerror}): choose a folder of yours.", file=sys.stderr)
        return 2
    print(f"authority   {ca.path}\ncertificate {certificate}\nkey         {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
