"""The cluster's certificates: one authority, a certificate for whoever speaks to the API server, kubeconfigs."""

import base64
import datetime
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scripts.certificates import builder, general_name, key_usage, pem, private_pem, write

# A run is shorter.
_LIFETIME = datetime.timedelta(days=7)


class Authority:
    """Signs for the files NAME.crt and NAME.key in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, mode=0o700)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        self.certificate = (
            builder(self._name, self._name, self._key.public_key(), _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._write("ca", self._key, self.certificate)

    def issue(self, stem: str, user: str, *, group: str = "", names: tuple[str, ...] = ()) -> None:
        """A certificate for *user* of *group*, and for the names and addresses of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        certificate = (
            builder(subject, self._name, key.public_key(), _LIFETIME)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        if names:
            alternative = x509.SubjectAlternativeName(list(map(general_name, names)))
            certificate = certificate.add_extension(alternative, critical=False)
        self._write(stem, key, certificate.sign(self._key, hashes.SHA256()))

    def kubeconfig(self, path: Path, server: str, stem: str) -> None:
        """Write how the holder of that certificate reaches the API server."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "node", "cluster": {"server": server, "certificate-authority-data": self._data("ca.crt")}}
            ],
            "users": [
                {
                    "name": stem,
                    "user": {
                        "client-certificate-data": self._data(f"{stem}.crt"),
                        "client-key-data": self._data(f"{stem}.key"),
                    },
                }
            ],
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": stem}}],
            "current-context": "node",
        }
        write(path, json.dumps(content).encode())

    def service_account_key(self) -> None:
        """sa.key and sa.pub: the API server signs service accounts' tokens."""
        key = rsa.generate_private_key(65537, 2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write(self.folder / "sa.key", private_pem(key))
        (self.folder / "sa.pub").write_bytes(public)

    def _data(self, name: str) -> str:
        return base64.b64encode((self.folder / name).read_bytes()).decode()

    def _write(self, stem: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        write(self.folder / f"{stem}.key", private_pem(key))
        write(self.folder / f"{stem}.crt", pem(certificate))
