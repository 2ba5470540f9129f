# SPDX-License-Identifier: Apache-2.0
"""The log's files: names, headers, records and payloads (docs/formats/audit-log.md).

Invariant: a record proves its payload and its own fields by one hash, needs no other record for
that, and is itself the entry that the tree hashes. So every stored byte is covered.
"""

import os
import re
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self

import msgspec

from radkeep.audit.events import MAX_EVENT_BYTES, Event
from radkeep.crypto.digest import sha256
from radkeep.crypto.seal import context, sealed_length

HEADER: Final = 16  # bytes: magic, index of the first entry
RECORD: Final = 48  # bytes
MAX_PAYLOAD: Final = sealed_length(2 * MAX_EVENT_BYTES)  # bytes; a longer one is damage
TREE_MAGIC: Final = b"RKAUDT1\n"
PAYLOADS_MAGIC: Final = b"RKAUDP1\n"
CHECKPOINT: Final = "checkpoint"  # the newest, replaced whole
HISTORY: Final = "checkpoints"  # older ones, to narrow down where a rewritten log differs
RANGE: Final = "range"  # derived: lets a start skip what the checkpoint covers
_FIELDS: Final = struct.Struct(">QII")
_TREE_NAME: Final = re.compile(r"([0-9]{16})\.tree")
_CLIP: Final = 256  # characters of a value, when an event is too long
_CLIP_NAME: Final = 64
_CLIP_DETAILS: Final = 8


class Record(NamedTuple):
    """One entry of the tree."""

    start: int  # offset of the payload in the segment's payload file
    length: int  # bytes of the payload
    remaining: int  # entries of the same group behind this one
    commitment: bytes  # SHA-256 of the fields above and the sealed payload, which starts with salt

    @classmethod
    def of(cls, start: int, remaining: int, payload: bytes) -> Self:
        """Return the record of ``payload``."""
        fields = _FIELDS.pack(start, len(payload), remaining)
        return cls(start, len(payload), remaining, sha256(fields, payload))

    @classmethod
    def decode(cls, raw: bytes | memoryview) -> Self:
        """Return the record in 48 bytes; any bytes are one."""
        start, length, remaining = _FIELDS.unpack_from(raw)
        return cls(start, length, remaining, bytes(raw[_FIELDS.size :]))

    def encode(self) -> bytes:
        """Return the record's bytes: the entry that the tree hashes."""
        return _FIELDS.pack(self.start, self.length, self.remaining) + self.commitment

    def proves(self, payload: bytes | memoryview) -> bool:
        """Tell whether ``payload`` is the record's."""
        fields = _FIELDS.pack(self.start, self.length, self.remaining)
        return self.length == len(payload) and sha256(fields, payload) == self.commitment


class Segment(NamedTuple):
    """A pair of files: the records and the payloads of consecutive entries."""

    directory: Path
    first: int  # index of the first entry

    @property
    def tree(self) -> Path:
        """The file of records."""
        return self.directory / f"{self.first:016d}.tree"

    @property
    def payloads(self) -> Path:
        """The file of payloads."""
        return self.directory / f"{self.first:016d}.payloads"

    @property
    def tree_header(self) -> bytes:
        """How the file of records starts."""
        return TREE_MAGIC + self.first.to_bytes(8, "big")

    def record_offset(self, index: int) -> int:
        """Return where the record of entry ``index`` starts in the file of records."""
        return HEADER + (index - self.first) * RECORD

    @property
    def payloads_header(self) -> bytes:
        """How the file of payloads starts."""
        return PAYLOADS_MAGIC + self.first.to_bytes(8, "big")


def segments(directory: Path) -> Iterator[Segment]:
    """Return the segments of ``directory`` in order; none when it does not exist."""
    if not directory.is_dir():
        return
    names = (_TREE_NAME.fullmatch(path.name) for path in directory.iterdir())
    for first in sorted(int(name[1]) for name in names if name):
        yield Segment(directory, first)


def whole_size(directory: Path, floor: int) -> int:
    """Return the number of entries in whole groups, at least ``floor``.

    Entries below ``floor`` are whole because a checkpoint says so. Safe while the log is written.
    """
    for segment in reversed(list(segments(directory))):
        with segment.tree.open("rb") as tree, segment.payloads.open("rb") as payloads:
            end = segment.first + max(os.fstat(tree.fileno()).st_size - HEADER, 0) // RECORD
            for index in range(end - 1, max(floor, segment.first) - 1, -1):
                record = read_record(tree, segment, index)
                if record.remaining == 0 and record.proves(read_payload(payloads.fileno(), record)):
                    return index + 1
        if segment.first <= floor:
            break
    return floor


def read_record(tree: BinaryIO, segment: Segment, index: int) -> Record:
    """Return the record of entry ``index``, which the file ``tree`` of ``segment`` has whole."""
    return Record.decode(os.pread(tree.fileno(), RECORD, segment.record_offset(index)))


def read_payload(payloads: int, record: Record) -> bytes:
    """Return the sealed payload of ``record`` from a descriptor: what is there of it."""
    if record.length > MAX_PAYLOAD or record.start < HEADER or record.start >> 62:
        return b""
    return os.pread(payloads, record.length, record.start)


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sealed of one entry, as JSON."""

    version: int = 1
    index: int
    process: str  # named by the channel, not by the sender
    boot: str  # the machine's boot id: ticks of one boot compare
    tick: int  # monotonic nanoseconds
    time: datetime  # when the log took the entry; the event has its own
    checkpoint: int  # size of the last checkpoint signed before
    event: Event


def payload_context(log: str, index: int) -> bytes:
    """Return the sealing context of one payload: it opens at no other index and in no other log."""
    return context(log, index.to_bytes(8, "big"), "audit-payload", 1)


def encode_payload(payload: Payload) -> bytes:
    """Return ``payload`` as JSON; an event that is too long loses the ends of its values."""
    try:
        raw = _encode(payload)
    except UnicodeEncodeError:  # a lone surrogate; text from outside may hold anything
        raw = b""
    if raw and len(raw) <= MAX_EVENT_BYTES:
        return raw
    return _encode(msgspec.structs.replace(payload, event=clipped(payload.event)))


def decode_payload(raw: bytes) -> Payload:
    """Return the payload in ``raw``.

    Raises:
        msgspec.DecodeError: it is not one.
    """
    return msgspec.json.decode(raw, type=Payload)


def _encode(payload: Payload) -> bytes:
    return msgspec.json.encode(payload, order="deterministic")


def clipped(event: Event) -> Event:
    """Return ``event`` within MAX_EVENT_BYTES: a deed is never unaudited for its long name."""
    fields = msgspec.structs.asdict(event)
    short = {
        name: _clip(value, _CLIP)
        for name, value in fields.items()
        if type(value) is str  # enumerations stay as they are
    }
    details = list(event.detail.items())[:_CLIP_DETAILS]
    detail = {_clip(name, _CLIP_NAME): _clip(value, _CLIP) for name, value in details}
    return msgspec.structs.replace(event, **short, detail=detail | {"clipped": "true"})


def _clip(text: str, length: int) -> str:
    return text[:length].encode("utf-8", "replace").decode()
