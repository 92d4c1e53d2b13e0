"""Authenticated encryption with a ring of keys and a key for each session (docs/decisions/0002)."""

import functools
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_SALT = b"auth0-flask session keys, version 1"
_KEY_ID = slice(1, 5)
_NONCE = slice(5, 17)
_HEADER_SIZE = 17
_CIPHERS = 1024


class Undecryptable(Exception):
    """The blob is not ours: forged, truncated, moved from elsewhere, or sealed with a key that left the ring."""


class KeyRing:
    """Seals with the first secret, opens with any.

    A blob is `version (1) | key id (4) | nonce (12) | ciphertext | tag (16)`. Its key is
    HKDF-SHA256 (RFC 5869): extracted once from the secret, expanded for the purpose and the context, so a blob opens in
    no other place than the one it was sealed for.
    """

    def __init__(self, ring: Sequence[str]) -> None:
        self.on_unknown_key: Callable[[], None] = lambda: None
        """Called when a blob has the id of a key that is not in the ring; it may bring it in."""
        self.use(ring)

    def use(self, ring: Sequence[str]) -> None:
        """Seal with the first of these secrets from now on, open with any of them."""
        keys = [hmac.digest(_SALT, secret.encode(), "sha256") for secret in ring]
        self._keys = {_expand(key, b"key id")[:4]: key for key in reversed(keys)}
        self._first = _expand(keys[0], b"key id")[:4]

    @property
    def first_id(self) -> str:
        """The id of the first secret's key, as it stands in blobs, in hexadecimal."""
        return self._first.hex()

    def is_first(self, blob: bytes) -> bool:
        """Whether *blob* was sealed with the first secret."""
        return blob[_KEY_ID] == self._first

    def seal(self, purpose: str, context: bytes, plaintext: bytes) -> bytes:
        """Encrypt *plaintext* for *purpose* (what kind of thing it is) and *context* (which one)."""
        nonce = os.urandom(12)
        header = _VERSION + self._first
        cipher = _cipher(self._keys[self._first], purpose, context)
        return header + nonce + cipher.encrypt(nonce, plaintext, header)

    def names(self, purpose: str, text: str) -> list[str]:
        """What *text* may be called where it must not be read: its MAC by each key, the first key first."""
        info = purpose.encode() + b"\0" + text.encode()
        keys = [self._keys[self._first], *(key for id_, key in self._keys.items() if id_ != self._first)]
        return [_expand(key, info)[:16].hex() for key in keys]

    def pseudonyms(self, text: str) -> list[str]:
        """What *text* is called in logs, by each key, the first key first (docs/decisions/0008)."""
        return self.names("pseudonym", text)

    def open(self, purpose: str, context: bytes, blob: bytes) -> bytes:
        """Decrypt what `seal` made.

        :raises Undecryptable: whatever is wrong with it.
        """
        if blob[:1] != _VERSION:
            raise Undecryptable
        key = self._keys.get(blob[_KEY_ID])
        if key is None:
            self.on_unknown_key()
            key = self._keys.get(blob[_KEY_ID])
            if key is None:
                raise Undecryptable
        try:
            return _cipher(key, purpose, context).decrypt(blob[_NONCE], blob[_HEADER_SIZE:], blob[:5])
        except (InvalidTag, ValueError):
            raise Undecryptable from None


# A person asks for several pages, and a page for several answers: the key need not be derived for each.
# A secret that has left the ring is not asked for.
@functools.lru_cache(_CIPHERS)
def _cipher(key: bytes, purpose: str, context: bytes) -> AESGCM:
    # A zero byte ends the purpose, so no purpose and context together read as another pair.
    return AESGCM(_expand(key, purpose.encode() + b"\0" + context))


def _expand(key: bytes, info: bytes) -> bytes:
    # HKDF-Expand's first block (RFC 5869, 2.3), 32 bytes; the library's class costs ten times as much for the same.
    return hmac.digest(key, info + b"\x01", "sha256")
