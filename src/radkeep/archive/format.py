# SPDX-License-Identifier: Apache-2.0
"""The bytes of a volume file (docs/formats/volume.md): structures and their arithmetic, no I/O.

Invariant: every structure that says where something lies carries a SHA-256 over itself, its volume
and its place, so that stale or moved bytes are never taken for it.
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from radkeep.crypto.seal import context, sealed_length
from radkeep.domain.clock import Clock
from radkeep.domain.errors import IntegrityError

VERSION: Final = 1
SECTOR: Final = 512  # bytes a disk writes whole; groups begin and end there, so none shares one
SUFFIX: Final = ".rkv"
UNBORN: Final = ".new"  # a volume whose header is not durable yet
NAME: Final = re.compile(r"[0-9a-f]{32}")

_HEADER: Final = struct.Struct("<8sHH4x16sQ")  # magic, version, kind, volume id, created (us)
_START: Final = struct.Struct("<4sBBHQ16s16s")  # magic, version, kind, 0, 0, key id, object id
_TRAILER: Final = struct.Struct("<4s4xQQQ")  # magic, body bytes, head bytes, record bytes
_ENTRY: Final = struct.Struct("<Q32s")  # record bytes, record digest
_FOOT: Final = struct.Struct("<8s16sQQII")  # magic, volume id, start, end, records, 0
_INDEXED: Final = struct.Struct("<B7xQQ16s32s")  # kind, offset, length, key id, record digest
_SEALED: Final = struct.Struct("<8s16sQQQQ32s32s")  # magic, id, index at, size, records, sealed
#                                                     (us), root, digest of the index
_RULING: Final = struct.Struct("<16sQB")  # volume id, offset, ruling

HEADER_MAGIC: Final = b"RADKEEPV"
START_MAGIC: Final = b"RKR1"
TRAILER_MAGIC: Final = b"RKT1"
FOOT_MAGIC: Final = b"RKGROUP1"
SEALED_MAGIC: Final = b"RKSEALD1"
DIGEST: Final = 32
ID: Final = 16  # bytes of volume, key and object ids
HEADER: Final = SECTOR  # the first group begins here
START: Final = _START.size
TRAILER: Final = _TRAILER.size
FOOT: Final = _FOOT.size + DIGEST
SEAL: Final = _SEALED.size + DIGEST
HOLE: Final = bytes(DIGEST)  # for a digest in a marker: bytes of no record, left by a cut
MAX_GROUP_RECORDS: Final = 1024  # far above what a writer puts in one; bounds a reader's table


class VolumeKind(IntEnum):
    """What a volume is for."""

    SHARED = 1  # many records
    SINGLE = 2  # one large object, and what is ruled about it


class RecordKind(IntEnum):
    """What a record holds."""

    INSTANCE = 1
    RULING = 2


class Ruling(IntEnum):
    """What was decided about a durable record; a replay repeats it."""

    SAME = 1
    CONFLICT = 2
    WITHDRAWN = 3  # its sender was told that it was not stored


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a group."""

    offset: int  # bytes from the start of the file
    length: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """Records that became durable together. ``end`` is a replay position."""

    start: int
    end: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """The start marker of a record."""

    kind: RecordKind
    key_id: bytes
    object_id: bytes


@dataclass(frozen=True, slots=True)
class Indexed:
    """One record in the index of a sealed volume."""

    kind: RecordKind
    offset: int
    length: int
    key_id: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """The end of a sealed volume."""

    index_offset: int  # also the last replay position
    size: int  # of the whole file
    records: int
    sealed: int  # microseconds since 1970, UTC
    root: bytes  # RFC 6962 tree over the record digests, in file order
    index_digest: bytes


@lru_cache(maxsize=1024)
def _around(organization: str, part: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the object id in a sealing context."""
    whole = context(organization, bytes(ID), part, VERSION)
    behind = len(context("", b"", part, VERSION)) - 4  # the two empty fields' lengths
    return whole[: -behind - ID], whole[-behind:]


def part_context(organization: str, object_id: bytes, part: str) -> bytes:
    """Return the sealing context of the ``body`` or ``head`` of a record.

    The same as ``context(organization, object_id, part, VERSION)``, sooner.
    """
    before, behind = _around(organization, part)
    return before + object_id + behind


def microseconds(clock: Clock) -> int:
    """Return the time as volumes write it."""
    return int(clock.now().timestamp() * 1_000_000)


def align(position: int) -> int:
    """Return the first sector boundary at or behind ``position``."""
    return -(-position // SECTOR) * SECTOR


def record_length(body: int, head: int) -> int:
    """Return the bytes of a whole record."""
    return START + sealed_length(body) + sealed_length(head) + TRAILER


def pack_header(volume: bytes, kind: VolumeKind, created: int) -> bytes:
    """Return the first sector of a volume; ``created`` in microseconds since 1970, UTC."""
    plain = _HEADER.pack(HEADER_MAGIC, VERSION, kind, volume, created)
    return (plain + hashlib.sha256(plain).digest()).ljust(HEADER, b"\0")


def parse_header(data: bytes, volume: bytes) -> tuple[VolumeKind, int]:
    """Return kind and time of creation (microseconds) of the volume whose first sector is ``data``.

    Raises:
        IntegrityError: it is not the header of ``volume``.
    """
    plain, digest = data[: _HEADER.size], data[_HEADER.size : _HEADER.size + DIGEST]
    if len(data) < HEADER or hashlib.sha256(plain).digest() != digest:
        raise IntegrityError("a volume's header is damaged")
    magic, version, kind, name, created = _HEADER.unpack(plain)
    if magic != HEADER_MAGIC or version != VERSION or name != volume:
        raise IntegrityError("a volume's header is not of this volume or version")
    return VolumeKind(kind), created


def pack_start(kind: RecordKind, key_id: bytes, object_id: bytes) -> bytes:
    """Return a record's start marker."""
    return _START.pack(START_MAGIC, VERSION, kind, 0, 0, key_id, object_id)


def parse_start(data: bytes) -> Start:
    """Return what a start marker says.

    Raises:
        IntegrityError: it is none.
    """
    if len(data) < START:
        raise IntegrityError("a record is cut short")
    magic, version, kind, zero, zeros, key_id, object_id = _START.unpack_from(data)
    known = kind in (RecordKind.INSTANCE, RecordKind.RULING)
    if magic != START_MAGIC or version != VERSION or not known or zero or zeros:
        raise IntegrityError("a record's start marker is damaged")
    return Start(RecordKind(kind), key_id, object_id)


def pack_trailer(body: int, head: int) -> bytes:
    """Return the trailer of a record with so many plain bytes of body and head."""
    return _TRAILER.pack(TRAILER_MAGIC, body, head, record_length(body, head))


def parse_trailer(data: bytes, length: int) -> tuple[int, int]:
    """Return the plain bytes of body and head of a record of ``length`` bytes.

    Raises:
        IntegrityError: the trailer is damaged, or of another record.
    """
    if len(data) != TRAILER:
        raise IntegrityError("a record is cut short")
    magic, body, head, whole = _TRAILER.unpack(data)
    if magic != TRAILER_MAGIC or whole != length or record_length(body, head) != length:
        raise IntegrityError("a record's trailer is damaged")
    return body, head


def trailer_length(data: bytes) -> int:
    """Return the record length that a trailer claims, true or not."""
    return int(_TRAILER.unpack(data)[3])


def pack_marker(volume: bytes, start: int, entries: Sequence[tuple[int, bytes]]) -> bytes:
    """Return filler and group marker to put behind the records of a group.

    Args:
        volume: the volume's id.
        start: where the group's first record begins, a sector boundary.
        entries: length and digest of each record.
    """
    table = b"".join(_ENTRY.pack(*entry) for entry in entries)
    stop = start + sum(length for length, _ in entries)
    end = align(stop + len(table) + FOOT)
    foot = _FOOT.pack(FOOT_MAGIC, volume, start, end, len(entries), 0)
    filler = bytes(end - stop - len(table) - FOOT)
    return filler + table + foot + hashlib.sha256(table + foot).digest()


def parse_foot(data: bytes, volume: bytes, end: int) -> tuple[int, int] | None:
    """Return start and record count of the group whose last ``FOOT`` bytes are ``data``.

    None when this is no group marker of ``volume`` that ends at ``end``.
    """
    if len(data) != FOOT or not data.startswith(FOOT_MAGIC):
        return None
    _, name, start, stop, count, zero = _FOOT.unpack_from(data)
    room = end - FOOT - count * _ENTRY.size
    sound = HEADER <= start <= room and start % SECTOR == 0 and 0 < count <= MAX_GROUP_RECORDS
    return (start, count) if name == volume and stop == end and sound and not zero else None


def marker_length(count: int) -> int:
    """Return the bytes of table and foot of a group marker of ``count`` records."""
    return count * _ENTRY.size + FOOT


def parse_marker(data: bytes, volume: bytes, end: int) -> Group | None:
    """Return the group whose table and foot are ``data``; None when they are damaged."""
    found = parse_foot(data[-FOOT:], volume, end)
    plain, digest = data[:-DIGEST], data[-DIGEST:]
    if found is None or len(data) != marker_length(found[1]):
        return None
    if hashlib.sha256(plain).digest() != digest:
        return None
    start, count = found
    offset, entries = start, []
    for length, record in _ENTRY.iter_unpack(plain[: count * _ENTRY.size]):
        if record != HOLE:
            entries.append(Entry(offset, length, record))
        offset += length
    return Group(start, end, tuple(entries)) if offset <= end - len(data) else None


def pack_ruling(volume: bytes, offset: int, ruling: Ruling) -> bytes:
    """Return the body of a ruling record about the record at ``offset`` of ``volume``."""
    return _RULING.pack(volume, offset, ruling)


def parse_ruling(body: bytes) -> tuple[str, int, Ruling]:
    """Return volume name, offset and ruling.

    Raises:
        IntegrityError: it is none.
    """
    if len(body) != _RULING.size:
        raise IntegrityError("a ruling is cut short")
    volume, offset, ruling = _RULING.unpack(body)
    try:
        return volume.hex(), offset, Ruling(ruling)
    except ValueError:
        raise IntegrityError("a ruling of an unknown kind") from None


def pack_indexed(entry: Indexed) -> bytes:
    """Return one line of a volume's index."""
    return _INDEXED.pack(entry.kind, entry.offset, entry.length, entry.key_id, entry.digest)


def parse_index(data: bytes, seal: Seal) -> list[Indexed]:
    """Return the index of a sealed volume.

    Raises:
        IntegrityError: it is not the one that was sealed.
    """
    if hashlib.sha256(data).digest() != seal.index_digest:
        raise IntegrityError("a volume's index is damaged")
    return [Indexed(RecordKind(kind), *rest) for kind, *rest in _INDEXED.iter_unpack(data)]


def index_length(records: int) -> int:
    """Return the bytes of an index of ``records`` records."""
    return records * _INDEXED.size


def index_digests(index: bytes) -> list[bytes]:
    """Return the record digests that stand in an index, in its order."""
    size = _INDEXED.size
    return [index[end - DIGEST : end] for end in range(size, len(index) + 1, size)]


def pack_seal(volume: bytes, index_offset: int, index: bytes, *, root: bytes, at: int) -> bytes:
    """Return filler and seal to put behind the index of a volume, sealed ``at`` (microseconds)."""
    stop = index_offset + len(index)
    size = align(stop + SEAL)
    plain = _SEALED.pack(
        SEALED_MAGIC,
        volume,
        index_offset,
        size,
        len(index) // _INDEXED.size,
        at,
        root,
        hashlib.sha256(index).digest(),
    )
    return bytes(size - stop - SEAL) + plain + hashlib.sha256(plain).digest()


def parse_seal(data: bytes, volume: bytes, size: int) -> Seal | None:
    """Return the seal in the last ``SEAL`` bytes of a file of ``size`` bytes; None if unsealed."""
    plain, digest = data[:-DIGEST], data[-DIGEST:]
    if len(data) != SEAL or not data.startswith(SEALED_MAGIC):
        return None
    _, name, at, whole, records, sealed, root, index = _SEALED.unpack(plain)
    if hashlib.sha256(plain).digest() != digest or name != volume or whole != size:
        return None
    fits = at >= HEADER and at + index_length(records) + SEAL <= size
    return Seal(at, size, records, sealed, root, index) if fits else None
