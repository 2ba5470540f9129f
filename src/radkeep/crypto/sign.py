# SPDX-License-Identifier: Apache-2.0
"""Ed25519 signatures (RFC 8032) and signed notes (C2SP signed-note).

Invariant: a text leaves ``open_note`` only when the expected key has signed exactly that text.
"""

import base64
import binascii
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from radkeep.crypto.digest import sha256
from radkeep.domain.errors import IntegrityError

KEY: Final = 32  # bytes of a private and of a public key
_ED25519: Final = b"\1"  # signature type of C2SP signed-note
_KEY_HASH: Final = 4
_DASH: Final = "\N{EM DASH} "
MAX_NOTE: Final = 65_536  # characters


class VerifyKey:
    """A public key."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of an Ed25519 public key.

        Raises:
            IntegrityError: they are not one.
        """
        try:
            self._key = Ed25519PublicKey.from_public_bytes(raw)
        except ValueError:
            raise IntegrityError("a public key is damaged") from None
        self.raw: bytes = bytes(raw)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check ``signature`` over ``message``.

        Raises:
            IntegrityError: this key did not sign this message.
        """
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise IntegrityError("a signature does not match") from None


class SigningKey:
    """A private key."""

    __slots__ = ("_key", "public")

    def __init__(self, raw: bytes) -> None:
        """Take a 32-byte seed (RFC 8032 Section 5.1.5).

        Raises:
            ValueError: it has another length.
        """
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """Return a new random key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the key of a 32-byte seed."""
        return cls(raw)

    def to_bytes(self) -> bytes:
        """Return the 32-byte seed."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        return self._key.sign(message)


def note_key_hash(name: str, key: VerifyKey) -> bytes:
    """Return the four bytes that name ``key`` in a note."""
    return sha256(name.encode(), b"\n", _ED25519, key.raw)[:_KEY_HASH]


def note_verifier(name: str, key: VerifyKey) -> str:
    """Return ``key`` as other tools read it: ``name+hash+base64`` (C2SP signed-note)."""
    encoded = base64.b64encode(_ED25519 + key.raw).decode()
    return f"{name}+{note_key_hash(name, key).hex()}+{encoded}"


def sign_note(key: SigningKey, name: str, text: str) -> str:
    """Return ``text`` as a note signed by ``key`` under ``name``.

    Raises:
        ValueError: the text does not end with a newline, or the name holds a space or a plus.
    """
    if not text.endswith("\n") or not name or "+" in name or any(c.isspace() for c in name):
        raise ValueError("a note ends with a newline and is signed by a name without spaces")
    signature = note_key_hash(name, key.public) + key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, name: str, key: VerifyKey) -> str:
    """Return the text of ``note``. Signatures of others, such as witnesses, are passed over.

    Raises:
        IntegrityError: the note is malformed, or ``key`` under ``name`` did not sign it.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or len(note) > MAX_NOTE or not signatures.endswith("\n"):
        raise IntegrityError("a signed note is malformed")
    text += "\n"
    hash_of_key, found = note_key_hash(name, key), False
    for line in signatures[:-1].split("\n"):
        signer, signature = _signature(line)
        if signer == name and signature.startswith(hash_of_key):
            key.verify(signature[_KEY_HASH:], text.encode())
            found = True
    if not found:
        raise IntegrityError("a signed note lacks the expected signature")
    return text


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name:
        raise IntegrityError("a signed note is malformed")
    try:
        return name, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise IntegrityError("a signed note is malformed") from None
