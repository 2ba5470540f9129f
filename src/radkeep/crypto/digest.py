# SPDX-License-Identifier: Apache-2.0
"""Hashes and keyed hashes: SHA-256 everywhere, compared in constant time.

Invariant: every digest here is 32 bytes of SHA-256; what is derived for one purpose carries that
purpose's label, so it means nothing elsewhere.
"""

import hashlib
import hmac
from typing import Final

DIGEST: Final = 32  # bytes of every digest and key
MAX_DERIVED: Final = 255 * DIGEST  # bytes, RFC 5869 Section 2.3


def sha256(*parts: bytes | bytearray | memoryview) -> bytes:
    """Return the SHA-256 digest of ``parts``, joined."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 of ``message`` under ``key`` (RFC 2104)."""
    return hmac.digest(key, message, "sha256")


def hkdf(key: bytes, salt: bytes, info: bytes, length: int = DIGEST) -> bytes:
    """Return ``length`` bytes derived from ``key`` by HKDF-SHA256 (RFC 5869).

    Raises:
        ValueError: ``length`` is not within 1..MAX_DERIVED.
    """
    if not 0 < length <= MAX_DERIVED:
        raise ValueError("HKDF gives between 1 and 8,160 bytes")
    pseudorandom = hmac.digest(salt, key, "sha256")
    block, derived = b"", b""
    for counter in range(1, -(-length // DIGEST) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes((counter,)), "sha256")
        derived += block
    return derived[:length]


def equal(left: bytes, right: bytes) -> bool:
    """Tell whether two secrets are equal, in time that depends on their length alone."""
    return hmac.compare_digest(left, right)
