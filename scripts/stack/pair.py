"""A certificate of one's own and its key: `make up` looks at them before anything starts, init before nginx does."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


class PairError(ValueError):
    """Why the two cannot be used, in a sentence with the fix."""


def leaf(certificate: bytes, key: bytes) -> x509.Certificate:
    """The server's own certificate, the first of the chain, which has to be that of the key. Raises PairError."""
    try:
        own = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError:
        raise PairError("TLS_CERTIFICATE is no certificate in PEM: give the chain, the server's own first.") from None
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        raise PairError("TLS_KEY is no private key in PEM without a password: give one.") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise PairError("TLS_KEY is not the key of TLS_CERTIFICATE: give a pair.")
    return own
