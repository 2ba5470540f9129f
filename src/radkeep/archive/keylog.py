# SPDX-License-Identifier: Apache-2.0
"""The frames of the keyring's file and its mirror (docs/formats/keyring.md).

Invariant: frames form a chain, each naming the digest of the one before, so two files that hold
the same last frame hold the same frames. Frames begin on sectors: a torn one harms no other.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from radkeep.archive.disk import File
from radkeep.archive.format import DIGEST, SECTOR
from radkeep.domain.errors import IntegrityError

GENESIS: Final = bytes(DIGEST)  # what the first frame names as the one before
MAX_FRAME_BYTES: Final = 4 << 20
_MAGIC: Final = b"RKKEYS01"
_FRAME: Final = struct.Struct("<8s32sI4x")  # magic, digest of the frame before, payload bytes


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One wrapped key. ``id`` and ``parent`` are 16 random bytes; ``ROOT`` is the parent of all."""

    id: bytes
    label: str  # what it is for: "organization", "study", "database:catalog", ...
    parent: bytes  # the key that wraps it
    organization: str  # "" when it serves all
    wrapped: bytes
    created: str  # UTC, ISO 8601


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(tuple[Entry, ...])


def pack_frame(previous: bytes, entries: tuple[Entry, ...]) -> tuple[bytes, bytes]:
    """Return a frame, filled up to a sector boundary, and its digest."""
    payload = _encoder.encode(entries)
    if len(payload) > MAX_FRAME_BYTES:
        raise ValueError("too many keys for one frame")
    plain = _FRAME.pack(_MAGIC, previous, len(payload)) + payload
    digest = hashlib.sha256(plain).digest()
    return _fill(plain + digest), digest


def _fill(frame: bytes) -> bytes:
    return frame + bytes(-len(frame) % SECTOR)


class Frame(msgspec.Struct, frozen=True):
    """One frame as it lies in a file."""

    raw: bytes  # filled
    previous: bytes
    digest: bytes
    entries: tuple[Entry, ...]


def read_frame(file: File, offset: int) -> Frame | None:
    """Return the whole frame at ``offset``; None when there is none, or only a part of one."""
    front = file.read(offset, _FRAME.size)
    if len(front) < _FRAME.size or not front.startswith(_MAGIC):
        return None
    _, previous, length = _FRAME.unpack(front)
    if length > MAX_FRAME_BYTES:
        return None
    rest = file.read(offset + _FRAME.size, length + DIGEST)
    plain, digest = front + rest[:length], rest[length:]
    if hashlib.sha256(plain).digest() != digest:
        return None
    try:
        return Frame(_fill(plain + digest), previous, digest, _decoder.decode(rest[:length]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IntegrityError("the keyring has an entry of an unknown form") from None


def merged(
    files: list[File], offset: int, previous: bytes, *, everywhere: bool = False
) -> Iterator[Frame]:
    """Yield the chain's frames from ``offset`` on, each from whichever file holds it whole.

    Args:
        files: file and mirror.
        offset: where the next frame begins.
        previous: digest of the frame before.
        everywhere: stop at a frame that only one file holds: its writer is not done with it.

    Raises:
        IntegrityError: two files hold different frames in one place, a frame does not follow the
            one before, or whole frames lie behind a broken one: keys are lost, nothing may be cut.
    """
    while True:
        found = [frame for file in files if (frame := read_frame(file, offset)) is not None]
        if everywhere and len(found) < len(files):
            return
        if not found:
            if not any(_frame_behind(file, offset) for file in files):
                return
            raise IntegrityError("the keyring is damaged, in file and mirror")
        frame = found[0]
        if any(other.digest != frame.digest for other in found):
            raise IntegrityError("the keyring and its mirror disagree")
        if frame.previous != previous:
            raise IntegrityError("the keyring's frames are not in order")
        yield frame
        offset += len(frame.raw)
        previous = frame.digest


def _frame_behind(file: File, offset: int) -> bool:
    """Tell whether a whole frame lies behind ``offset``: then what is at it was not just torn."""
    offset += -offset % SECTOR
    size = file.size()
    while offset < size:
        data = file.read(offset, 1 << 20)
        at = data.find(_MAGIC)
        while at >= 0:
            if at % SECTOR == 0 and read_frame(file, offset + at) is not None:
                return True
            at = data.find(_MAGIC, at + 1)
        offset += len(data) - len(data) % SECTOR or SECTOR
    return False
