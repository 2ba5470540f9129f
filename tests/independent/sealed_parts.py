# SPDX-License-Identifier: Apache-2.0
"""Reads and writes sealed parts from docs/formats/sealed-parts.md alone: no radkeep in here."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK, TAG, SALT, COMMITMENT = 65_536, 16, 32, 32
LABEL = b"radkeep/1 seal\0"
WRAP_LABEL = b"\xff\xffwrap\0"


class RefusedError(Exception):
    """The bytes are not what was sealed."""


def make_context(organization: str, object_id: bytes, part: str, version: int) -> bytes:
    fields = [organization.encode(), object_id, part.encode(), version.to_bytes(2, "big")]
    return b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def derive(key: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes]:
    pseudorandom = hmac.new(salt, key, hashlib.sha256).digest()
    info = LABEL + context
    first = hmac.new(pseudorandom, info + b"\x01", hashlib.sha256).digest()
    second = hmac.new(pseudorandom, first + info + b"\x02", hashlib.sha256).digest()
    return first, second


def nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def seal_part(key: bytes, salt: bytes, context: bytes, plain: bytes) -> bytes:
    cipher_key, commitment = derive(key, salt, context)
    cipher = AESGCM(cipher_key)
    chunks = [plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)] or [b""]
    sealed = salt + commitment
    for number, chunk in enumerate(chunks):
        sealed += cipher.encrypt(nonce(number, last=number == len(chunks) - 1), chunk, None)
    return sealed


def open_part(key: bytes, context: bytes, sealed: bytes) -> bytes:
    salt, commitment, body = sealed[:SALT], sealed[SALT : SALT + COMMITMENT], sealed[64:]
    cipher_key, expected = derive(key, salt, context)
    if commitment != expected:
        raise RefusedError("commitment")
    chunks = [body[i : i + CHUNK + TAG] for i in range(0, len(body), CHUNK + TAG)]
    if not chunks or (len(chunks) > 1 and len(chunks[-1]) <= TAG):
        raise RefusedError("length")
    try:
        return b"".join(
            AESGCM(cipher_key).decrypt(nonce(number, last=number == len(chunks) - 1), chunk, None)
            for number, chunk in enumerate(chunks)
        )
    except Exception as error:
        raise RefusedError("chunk") from error


def open_wrapped(kek: bytes, context: bytes, wrapped: bytes) -> bytes:
    return open_part(kek, WRAP_LABEL + context, wrapped)
