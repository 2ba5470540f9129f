# SPDX-License-Identifier: Apache-2.0
"""Chunked authenticated encryption of one part (docs/formats/sealed-parts.md).

Invariant: a key of AES-256-GCM serves one part only, derived from the caller's key, a random salt
and the context, so a nonce never repeats under it; what ``Opener`` returns is what was sealed, at
that place, in that context. Cut, reordered, swapped or changed chunks raise ``IntegrityError``.
"""

import hmac
import secrets
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from radkeep.domain.errors import IntegrityError

CHUNK: Final = 65_536  # bytes of plain text in every chunk but the last, which may be shorter
TAG: Final = 16  # bytes of AES-GCM tag behind every chunk
SALT: Final = 32
HEADER: Final = SALT + 32  # bytes: salt, key commitment
KEY: Final = 32
MAX_CHUNKS: Final = 1 << 32  # of one part: 256 TiB, far below the limits of SP 800-38D
_SEALED_CHUNK: Final = CHUNK + TAG
_LABEL: Final = b"radkeep/1 seal\0"
_MAX_FIELD: Final = 0xFFFE  # bytes; 0xFFFF starts contexts of our own, see wrap
_COUNTER: Final = 11  # bytes of big-endian chunk number in a nonce; the twelfth is the last flag


def context(organization: str, object_id: bytes, part: str, version: int) -> bytes:
    """Return the context of one part: what its ciphertext belongs to.

    Args:
        organization: id of the owner.
        object_id: id of the record, key or entry.
        part: what part of it, such as "body" or "head".
        version: version of the part's format, at most 65,535.
    """
    fields = (organization.encode(), object_id, part.encode(), version.to_bytes(2, "big"))
    if any(len(field) > _MAX_FIELD for field in fields):
        raise ValueError("a context field is at most 65,534 bytes")
    return b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def _derive(key: bytes, salt: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    """Return cipher and key commitment: HKDF-SHA256, 64 bytes (RFC 5869), unrolled for speed."""
    if len(key) != KEY:
        raise ValueError("a sealing key has 32 bytes")
    info = _LABEL + context
    pseudorandom = hmac.digest(salt, key, "sha256")
    first = hmac.digest(pseudorandom, info + b"\1", "sha256")
    return AESGCM(first), hmac.digest(pseudorandom, first + info + b"\2", "sha256")


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(_COUNTER, "big") + (b"\1" if last else b"\0")


class Sealer:
    """Seals one part, in order. Used by one thread at a time."""

    __slots__ = ("_cipher", "_ended", "_index", "header")

    def __init__(self, key: bytes, context: bytes) -> None:
        salt = secrets.token_bytes(SALT)
        self._cipher, commitment = _derive(key, salt, context)
        self.header: bytes = salt + commitment
        self._index = 0
        self._ended = False

    def seal_into(self, plain: memoryview, out: memoryview, *, last: bool) -> int:
        """Seal the next chunks of ``plain`` into the front of ``out`` without allocating.

        ``plain`` is a multiple of ``CHUNK`` unless ``last``. It is empty only when the whole part
        is: whoever streams keeps its final chunk back until it knows that it is the final one.

        Returns:
            The bytes written to ``out``, which may be longer.

        Raises:
            ValueError: a length breaks this rule, ``out`` is too short, or the part has ended.
        """
        length, index = len(plain), self._index
        whole, rest = divmod(length, CHUNK)
        if self._ended or (rest and not last) or (not length and (index or not last)):
            raise ValueError("chunks are sealed whole and in order, the last one once")
        if index + whole >= MAX_CHUNKS:
            raise ValueError("a part has at most 2**32 chunks")
        encrypt = self._cipher.encrypt_into
        inner = whole - 1 if last and whole and not rest else whole
        read = write = 0
        for number in range(index, index + inner):
            encrypt(
                number.to_bytes(_COUNTER, "big") + b"\0",
                plain[read : read + CHUNK],
                None,
                out[write : write + _SEALED_CHUNK],
            )
            read += CHUNK
            write += _SEALED_CHUNK
        index += inner
        if last:
            self._ended = True
            end = write + length - read + TAG
            encrypt(_nonce(index, last=True), plain[read:], None, out[write:end])
            index, write = index + 1, end
        self._index = index
        return write


class Opener:
    """Opens chunks of one part, in any order. Thread-safe."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes, context: bytes, header: bytes) -> None:
        """Derive the part's key.

        Raises:
            IntegrityError: the header is not of this key and context.
        """
        if len(header) != HEADER:
            raise IntegrityError("a sealed part is cut short")
        self._cipher, commitment = _derive(key, bytes(header[:SALT]), context)
        if not hmac.compare_digest(commitment, header[SALT:]):
            raise IntegrityError("a sealed part does not belong here")

    def open(self, chunk_index: int, sealed_chunk: bytes | memoryview, *, last: bool) -> bytes:
        """Return the plain text of chunk ``chunk_index``; ``last`` says that no other follows.

        Raises:
            IntegrityError: this is not that chunk as it was sealed.
        """
        _check_chunk(len(sealed_chunk), chunk_index, last=last)
        try:
            return self._cipher.decrypt(_nonce(chunk_index, last=last), sealed_chunk, None)
        except InvalidTag:
            raise IntegrityError("a sealed chunk was changed") from None

    def open_into(
        self, chunk_index: int, sealed_chunk: memoryview, out: memoryview, *, last: bool
    ) -> int:
        """Open like ``open`` into the front of ``out``; return the bytes written there.

        Raises:
            IntegrityError: this is not that chunk as it was sealed; ``out`` holds no plain text.
        """
        length = len(sealed_chunk) - TAG
        _check_chunk(len(sealed_chunk), chunk_index, last=last)
        nonce = _nonce(chunk_index, last=last)
        try:
            return self._cipher.decrypt_into(nonce, sealed_chunk, None, out[:length])
        except InvalidTag:
            out[:length] = bytes(length)
            raise IntegrityError("a sealed chunk was changed") from None


def _check_chunk(length: int, index: int, *, last: bool) -> None:
    fits = TAG <= length <= _SEALED_CHUNK if last else length == _SEALED_CHUNK
    if not fits or not 0 <= index < MAX_CHUNKS or (length == TAG and index):
        raise IntegrityError("a sealed chunk is cut short")


def seal(key: bytes, context: bytes, plain: bytes | memoryview) -> bytes:
    """Return ``plain`` sealed whole: header and chunks."""
    sealer = Sealer(key, context)
    sealed = bytearray(sealed_length(len(plain)))
    sealed[:HEADER] = sealer.header
    sealer.seal_into(memoryview(plain), memoryview(sealed)[HEADER:], last=True)
    return bytes(sealed)


def unseal(key: bytes, context: bytes, sealed: bytes | memoryview) -> bytes:
    """Return what ``seal`` was given.

    Raises:
        IntegrityError: the bytes are not a whole part of this key and context.
    """
    view = memoryview(sealed)
    opener = Opener(key, context, bytes(view[:HEADER]))
    chunks = range(HEADER, max(len(view), HEADER + 1), _SEALED_CHUNK)
    return b"".join(
        opener.open(index, view[start : start + _SEALED_CHUNK], last=index == len(chunks) - 1)
        for index, start in enumerate(chunks)
    )


def chunk_count(plain_length: int) -> int:
    """Return the number of chunks of a part of ``plain_length`` bytes; at least one."""
    return max(1, -(-plain_length // CHUNK))


def sealed_length(plain_length: int) -> int:
    """Return the bytes of a whole sealed part, header included, of ``plain_length`` bytes."""
    return HEADER + plain_length + TAG * chunk_count(plain_length)


class ChunkSpan(NamedTuple):
    """The chunks that hold a range of plain text. Offsets count from the part's header."""

    first: int  # number of the first chunk
    end: int  # number behind the last chunk needed
    start: int  # offset of the first chunk's first sealed byte
    stop: int  # offset behind the last sealed byte needed
    skip: int  # plain bytes of the first chunk that lie before the range
    last: bool  # the span ends with the part's last chunk


def chunk_span(start: int, stop: int, total: int) -> ChunkSpan:
    """Return where the bytes ``start``..``stop`` of a part of ``total`` plain bytes are sealed.

    An empty range gives one chunk all the same, so that something is authenticated.

    Raises:
        ValueError: the range does not lie within the part.
    """
    if not 0 <= start <= stop <= total:
        raise ValueError("the range does not lie within the part")
    count = chunk_count(total)
    first = min(start // CHUNK, count - 1)
    end = max(chunk_count(stop), first + 1)
    sealed_stop = sealed_length(total) if end == count else HEADER + end * _SEALED_CHUNK
    skip = start - first * CHUNK
    return ChunkSpan(first, end, HEADER + first * _SEALED_CHUNK, sealed_stop, skip, end == count)
