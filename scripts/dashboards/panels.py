"""Panels that stand on more than one dashboard."""

from .model import ORANGE, Limit, Stat

_DAY = 86_400


def certificate(width: int = Stat.width) -> Stat:
    """How long nginx' certificate is still good, in seconds, coloured as the alerts take it."""
    return Stat(
        "Certificate",
        "Until the certificate ends that nginx shows.",
        "s",
        {"": "min(nginx_certificate_not_after_seconds{NAMESPACE}) - time()"},
        limits=[
            Limit(3 * _DAY, "CertificateExpiring"),
            Limit(21 * _DAY, "CertificateExpiring", ORANGE),
        ],
        low_is_bad=True,
        width=width,
    )
