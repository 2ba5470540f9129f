# SPDX-License-Identifier: Apache-2.0
"""One volume file that this process writes.

Invariant: ``position`` moves only after a successful sync; after a failed one nothing is ever
written here again. Nobody else appends: the file is locked from before it has its name.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from radkeep.archive.disk import Disk, File
from radkeep.archive.format import (
    HEADER,
    SUFFIX,
    UNBORN,
    Indexed,
    RecordKind,
    VolumeKind,
    microseconds,
    pack_header,
    pack_indexed,
    pack_marker,
)
from radkeep.domain.clock import Clock
from radkeep.domain.errors import ArchiveFullError, IntegrityError, UnavailableError

_SMALL: Final = 128 << 10  # bytes of a group whose sync costs more than its bytes
_ZEROS: Final = memoryview(bytes(1 << 20))


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed record on its way into a group."""

    kind: RecordKind
    key_id: bytes
    length: int
    digest: bytes
    views: Sequence[memoryview | bytes]  # empty when the bytes are in the file already


class OpenVolume:
    """A volume being written: by the writer thread; ``reserve`` by any thread."""

    def __init__(
        self, file: File, path: Path, *, position: int, step: int, index: bytes = b""
    ) -> None:
        self.file = file
        self.step = step  # bytes to allocate at a time
        self.path = path
        self.name = path.name.removesuffix(SUFFIX)
        self.id = bytes.fromhex(self.name)
        self.position = position  # where the next group begins
        self.index = bytearray(index)  # of the records so far
        self._allocated = file.size()
        self._mapped = position  # small groups find blocks that were written up to here
        self._ended = False
        self._unsettled: list[Indexed] = []  # the group that is written and not yet durable
        self._unsettled_end = position
        self._lock = Lock()

    @classmethod
    def create(
        cls, disk: Disk, directory: Path, kind: VolumeKind, *, clock: Clock, step: int
    ) -> "OpenVolume":
        """Create a volume whose name and header are durable.

        Raises:
            ArchiveFullError: no room.
            IntegrityError: the disk refused.
        """
        volume = secrets.token_bytes(16)
        unborn = directory / (volume.hex() + UNBORN)
        path = directory / (volume.hex() + SUFFIX)
        file = disk.create(unborn)
        try:
            _lock(file)
            file.write([pack_header(volume, kind, microseconds(clock))], 0)
            file.sync()
            disk.rename(unborn, path)
            disk.sync_directory(directory)
        except BaseException:
            file.close()
            disk.unlink(unborn)
            raise
        return cls(file, path, position=HEADER, step=step)

    @property
    def headroom(self) -> int:
        """Return the allocated bytes behind the last group."""
        return self._allocated - self.position

    @property
    def ended(self) -> bool:
        """Tell whether nothing can be appended any more."""
        return self._ended

    def reserve(self, end: int) -> None:
        """Allocate up to ``end`` at least, ``step`` bytes at a time while there is room for that.

        Raises:
            ArchiveFullError: no room.
        """
        with self._lock:
            if self._ended or end <= self._allocated:
                return
            start = self._allocated
            try:
                self.file.allocate(start, max(self.step, end - start))
            except ArchiveFullError:
                self.file.allocate(start, end - start)
            self._allocated = self.file.size()

    def append(self, records: Sequence[Sealed]) -> None:
        """Write a group; it is durable when this returns.

        Raises:
            ArchiveFullError: no room; nothing was appended, and the volume may be used.
            IntegrityError: the group may be lost; the volume is closed for good.
        """
        self.write(records)
        self.settle()

    def write(self, records: Sequence[Sealed]) -> int:
        """Give a group to the system, which begins to write it, and return where it ends.

        It counts only after ``settle``.

        Raises:
            ArchiveFullError: no room; nothing was appended, and the volume may be used.
            IntegrityError: the disk refused; the volume is closed for good.
        """
        if self._ended:
            raise IntegrityError("a volume failed before")
        start = self.position
        marker = pack_marker(self.id, start, [(each.length, each.digest) for each in records])
        length = sum(each.length for each in records)
        end = start + length + len(marker)
        self.reserve(end)
        views = [view for each in records for view in each.views]
        missing = sum(map(len, views)) != length
        views.append(marker)
        if end - start < _SMALL and end > self._mapped:
            views.append(self._zeros(end))
        try:
            self.file.write(views, start + length if missing else start)
        except IntegrityError:
            self.end()
            raise
        self.file.start_writeback(start, end - start)
        offset = start
        for each in records:
            line = Indexed(each.kind, offset, each.length, each.key_id, each.digest)
            self._unsettled.append(line)
            offset += each.length
        self._unsettled_end = end
        return end

    def _zeros(self, end: int) -> memoryview:
        """Return zeros to write behind a small group, so that later ones find mapped blocks.

        The sync of a block that was only allocated waits for the file system's journal, too.
        """
        self._mapped = max(end, min(end + len(_ZEROS), self._allocated))
        return _ZEROS[: self._mapped - end]

    def settle(self) -> None:
        """Return once the group that was written last is durable; does nothing a second time.

        Raises:
            IntegrityError: the group may be lost; the volume is closed for good.
        """
        if not self._unsettled:
            return
        if self._ended:
            raise IntegrityError("a volume failed before")
        try:
            self.file.sync()
        except IntegrityError:
            self.end()
            raise
        self.position = self._unsettled_end
        for line in self._unsettled:
            self.index += pack_indexed(line)
        self._unsettled.clear()

    def end(self) -> None:
        """Stop: nothing more is allocated or appended."""
        with self._lock:
            self._ended = True


def _lock(file: File) -> None:
    if not file.lock():
        raise UnavailableError("a new volume was taken away")
