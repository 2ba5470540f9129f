# SPDX-License-Identifier: Apache-2.0
"""Reading records back: a ``retrieval.ports.RecordReader``.

Invariant: every byte that is returned was authenticated by its chunk's tag, in its place, for its
record and organization. Descriptors and openers that are kept are bounded in number.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from radkeep.archive.disk import Disk, File, SystemDisk
from radkeep.archive.format import (
    NAME,
    START,
    SUFFIX,
    TRAILER,
    RecordKind,
    Start,
    parse_start,
    parse_trailer,
    part_context,
)
from radkeep.archive.slabs import SEALED_CHUNK
from radkeep.crypto.seal import CHUNK, HEADER, Opener, chunk_count, chunk_span, sealed_length
from radkeep.domain.errors import IntegrityError
from radkeep.domain.limits import MAX_HEAD_BYTES
from radkeep.domain.placement import Placement

_MAX_FILES: Final = 256
_MAX_OPENED: Final = 4096  # records whose frames and derived keys are kept
_PIECE: Final = 16  # chunks read at once: 1 MiB of plain text


class Keys(Protocol):
    """Where keys come from: ``Keyring``."""

    def key(self, key_id: bytes) -> bytes:
        """Return a key by id."""
        ...

    def organization(self, key_id: bytes) -> str:
        """Return the organization that a key belongs to."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A sealed part of a record."""

    file: File
    offset: int  # of the part's header in the file
    length: int  # plain bytes
    opener: Opener

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the plain bytes from ``start`` to ``stop``, at most 1 MiB at a time.

        Raises:
            IntegrityError: a chunk is damaged; nothing of it was yielded. Or the range is not in
                the part.
        """
        if not 0 <= start <= stop <= self.length:
            raise IntegrityError("a record is shorter than the catalog says")
        while start < stop or not self.length:
            end = min(stop, (start // CHUNK + _PIECE) * CHUNK)
            yield self._piece(start, end)
            start = end
            if start >= stop:
                return

    def _piece(self, start: int, stop: int) -> bytes:
        span = chunk_span(start, stop, self.length)
        sealed = memoryview(self.file.read(self.offset + span.start, span.stop - span.start))
        if len(sealed) != span.stop - span.start:
            raise IntegrityError("a record is cut short")
        total = chunk_count(self.length)
        if span.end - span.first == 1:
            plain = self.opener.open(span.first, sealed, last=span.end == total)
            whole = not span.skip and len(plain) == stop - start
            return plain if whole else plain[span.skip : span.skip + stop - start]
        out = bytearray((span.end - span.first) * CHUNK)
        view = memoryview(out)
        for number, index in enumerate(range(span.first, span.end)):
            chunk = sealed[number * SEALED_CHUNK : (number + 1) * SEALED_CHUNK]
            place = view[number * CHUNK :]
            self.opener.open_into(index, chunk, place, last=index == total - 1)
        return bytes(view[span.skip : span.skip + stop - start])


@dataclass(frozen=True, slots=True)
class Opened:
    """A record whose frames were read."""

    kind: RecordKind
    body: Part
    head: Part


def open_record(file: File, offset: int, length: int, key_id: bytes | None, keys: Keys) -> Opened:
    """Read the frames of a record and derive its keys.

    Args:
        file: the volume.
        offset: of the record in the volume.
        length: of the whole record.
        key_id: the key it must name; None to take the one it does.
        keys: knows keys.

    Raises:
        IntegrityError: the record is damaged.
        KeyMissingError: its key was erased.
    """
    front = file.read(offset, START + HEADER)
    start: Start = parse_start(front)
    if key_id is not None and start.key_id != key_id:
        raise IntegrityError("a record names another key than the catalog")
    body, head = parse_trailer(file.read(offset + length - TRAILER, TRAILER), length)
    if head > MAX_HEAD_BYTES * 2:
        raise IntegrityError("a record's head is too long")
    key = keys.key(start.key_id)
    organization = keys.organization(start.key_id)
    head_at = offset + START + sealed_length(body)
    return Opened(
        start.kind,
        Part(
            file,
            offset + START,
            body,
            Opener(key, part_context(organization, start.object_id, "body"), front[START:]),
        ),
        Part(
            file,
            head_at,
            head,
            Opener(
                key, part_context(organization, start.object_id, "head"), file.read(head_at, HEADER)
            ),
        ),
    )


class VolumeReader:
    """Reads records of all volumes, sealed, open, or being written by others. Thread-safe."""

    def __init__(self, directory: Path, *, keys: Keys, disk: Disk | None = None) -> None:
        self._directory = directory
        self._keys = keys
        self._disk = disk or SystemDisk()
        self._files: OrderedDict[str, File] = OrderedDict()
        self._opened: OrderedDict[tuple[str, int], tuple[Placement, Opened]] = OrderedDict()
        self._lock = Lock()

    def head(self, placement: Placement) -> bytes:
        """See ``RecordReader.head``."""
        head = self._record(placement).head
        return b"".join(head.read(0, head.length))

    def body(self, placement: Placement, start: int, stop: int) -> Iterator[bytes]:
        """See ``RecordReader.body``."""
        return self._record(placement).body.read(start, stop)

    def body_length(self, placement: Placement) -> int:
        """Return how many bytes ``body`` has: all that was received.

        Raises:
            IntegrityError: the record is damaged.
        """
        return self._record(placement).body.length

    def close(self) -> None:
        """Forget files and keys; those in use stay open until they are done."""
        with self._lock:
            self._files.clear()
            self._opened.clear()

    def _record(self, placement: Placement) -> Opened:
        name = (placement.volume, placement.offset)
        with self._lock:
            found = self._opened.get(name)
            if found is not None and found[0] == placement:
                self._opened.move_to_end(name)
                return found[1]
        file = self._file(placement.volume)
        opened = open_record(file, placement.offset, placement.length, placement.key_id, self._keys)
        if opened.kind is not RecordKind.INSTANCE:
            raise IntegrityError("a record is of another kind than the catalog says")
        with self._lock:
            self._opened[name] = (placement, opened)
            if len(self._opened) > _MAX_OPENED:
                self._opened.popitem(last=False)
        return opened

    def _file(self, volume: str) -> File:
        with self._lock:
            file = self._files.get(volume)
            if file is not None:
                self._files.move_to_end(volume)
                return file
        if not NAME.fullmatch(volume):
            raise IntegrityError("the catalog names no volume")
        try:
            file = self._disk.open(self._directory / (volume + SUFFIX))
        except FileNotFoundError:
            raise IntegrityError("a volume is missing") from None
        with self._lock:
            self._files[volume] = file
            if len(self._files) > _MAX_FILES:
                self._files.popitem(last=False)  # closes itself with its last reader
        return file
