"""What is sealed opens with the same ring, purpose and context, and with nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sessions.keyring import KeyRing, Undecryptable

OLD, NEW, OTHER = "old secret " * 4, "new secret " * 4, "other secret " * 4


@given(plaintext=st.binary(max_size=200), context=st.binary(max_size=40))
def test_a_blob_opens_where_it_was_sealed_for(plaintext: bytes, context: bytes) -> None:
    keyring = KeyRing([NEW])
    assert keyring.open("session", context, keyring.seal("session", context, plaintext)) == plaintext


@given(data=st.data())
def test_a_blob_changed_anywhere_is_refused(data: st.DataObject) -> None:
    keyring = KeyRing([NEW])
    blob = bytearray(keyring.seal("session", b"id", b"plaintext"))
    position = data.draw(st.integers(0, len(blob) - 1))
    blob[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Undecryptable):
        keyring.open("session", b"id", bytes(blob))


@given(blob=st.binary(max_size=100))
def test_any_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(Undecryptable):
        KeyRing([NEW]).open("session", b"id", blob)


@given(length=st.integers(0, 41))
def test_a_truncated_blob_is_refused(length: int) -> None:
    keyring = KeyRing([NEW])
    with pytest.raises(Undecryptable):
        keyring.open("session", b"id", keyring.seal("session", b"id", b"plaintext")[:length])


@pytest.mark.parametrize(
    ("purpose", "context"), [("session", b"other id"), ("transaction", b"id"), ("session\0i", b"d")]
)
def test_a_blob_moved_to_another_session_or_use_is_refused(purpose: str, context: bytes) -> None:
    keyring = KeyRing([NEW])
    blob = keyring.seal("session", b"id", b"plaintext")
    with pytest.raises(Undecryptable):
        keyring.open(purpose, context, blob)


def test_the_first_secret_writes_and_all_read() -> None:
    before, during, after = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    assert during.open("session", b"id", before.seal("session", b"id", b"1")) == b"1"
    assert after.open("session", b"id", during.seal("session", b"id", b"2")) == b"2"
    with pytest.raises(Undecryptable):
        after.open("session", b"id", before.seal("session", b"id", b"3"))


def test_a_secret_that_has_left_the_ring_opens_nothing_any_more() -> None:
    keyring = KeyRing([NEW, OLD])
    blob = KeyRing([OLD]).seal("session", b"id", b"plaintext")
    assert keyring.open("session", b"id", blob) == b"plaintext"
    keyring.use([NEW])
    with pytest.raises(Undecryptable):
        keyring.open("session", b"id", blob)


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(Undecryptable):
        KeyRing([OTHER]).open("session", b"id", KeyRing([NEW]).seal("session", b"id", b"plaintext"))


def test_two_blobs_of_the_same_are_not_the_same() -> None:
    keyring = KeyRing([NEW])
    assert keyring.seal("session", b"id", b"plaintext") != keyring.seal("session", b"id", b"plaintext")


def test_the_key_is_hkdf_of_the_secret() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    blob = KeyRing([NEW]).seal("session", b"id", b"plaintext")
    derived = HKDF(SHA256(), 32, b"auth0-flask session keys, version 1", b"session\0id").derive(NEW.encode())
    assert AESGCM(derived).decrypt(blob[5:17], blob[17:], blob[:5]) == b"plaintext"


def test_a_pseudonym_is_the_same_for_the_same_key_alone_and_no_other_name_of_it() -> None:
    keyring = KeyRing([NEW, OLD])
    assert keyring.pseudonyms("auth0|jane") == [KeyRing([key]).pseudonyms("auth0|jane")[0] for key in (NEW, OLD)]
    assert len({*keyring.pseudonyms("auth0|jane"), *keyring.pseudonyms("auth0|john")}) == 4
    # What a user's sessions stand under in Redis is made of the same keys.
    assert not {*keyring.pseudonyms("auth0|jane")} & {*keyring.names("session label", "auth0|jane")}
