# SPDX-License-Identifier: Apache-2.0
"""A disk in memory that remembers every write and sync, and what a power cut may leave of them.

Invariant: an image holds everything that a returned sync promised, and of the rest any part: each
unsynced write is there, missing, or torn, whatever came before or after it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import RLock
from typing import Final

from radkeep.domain.errors import ArchiveFullError, IntegrityError

SECTOR: Final = 512

Pieces = Sequence[tuple[int, bytes]]  # of one write: offset within it, bytes


@dataclass(frozen=True, slots=True)
class Write:
    """One unsynced change of one file: bytes at an offset, or with ``size`` a new size."""

    inode: int
    offset: int
    data: bytes
    size: int | None = None


@dataclass(slots=True)
class Inode:
    """A file's content, as processes see it and as it is certainly on the disk."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[Write] = field(default_factory=list)
    locked: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """All that may decide what is left after a cut at one point in time."""

    step: int
    after: str  # the operation that was just done
    durable: Mapping[int, bytes]
    durable_names: Mapping[Path, int]
    names: Mapping[Path, int]
    pending: tuple[Write, ...]

    def image(
        self, survives: Callable[[int, Write], Pieces | None], *, names: bool
    ) -> dict[Path, bytes]:
        """Return the files after a cut now.

        Args:
            survives: says for each pending write, by number, which pieces of it reached the disk;
                None for none at all. For a change of size, not None means that it did.
            names: whether names that were not synced are there.
        """
        contents = {inode: bytearray(data) for inode, data in self.durable.items()}
        for number, write in enumerate(self.pending):
            kept = survives(number, write)
            if kept is not None:
                content = contents.setdefault(write.inode, bytearray())
                if write.size is not None:
                    _resize(content, write.size)
                for at, piece in kept:
                    _put(content, write.offset + at, piece)
        found = self.names if names else self.durable_names
        return {path: bytes(contents.get(inode, b"")) for path, inode in found.items()}


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset + len(data) - len(content)) if data else 0))
    content[offset : offset + len(data)] = data


class MemoryFile:
    """An open file of a ``RecordingDisk``."""

    def __init__(self, disk: "RecordingDisk", number: int, *, writable: bool) -> None:
        self._disk = disk
        self._number = number
        self._writable = writable
        self._holder = False

    @property
    def _inode(self) -> Inode:
        return self._disk.inodes[self._number]

    def write(self, views: Sequence[memoryview | bytes], offset: int) -> int:
        """Write ``views`` one behind the other."""
        with self._disk.lock:
            data = b"".join(views)
            self._disk.check("write")
            self._require_writable()
            growth = max(0, offset + len(data) - len(self._inode.data))
            self._disk.take_room(growth)
            self._change(Write(self._number, offset, data), "write")
            return len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes at ``offset``."""
        with self._disk.lock:
            return bytes(self._inode.data[offset : offset + length])

    def sync(self) -> None:
        """Make everything written so far durable."""
        with self._disk.lock:
            self._disk.check("sync")
            inode = self._inode
            inode.durable = bytes(inode.data)
            inode.pending.clear()
            self._disk.note("sync")

    def allocate(self, offset: int, length: int) -> None:
        """Grow the file, as fallocate does."""
        with self._disk.lock:
            self._disk.check("allocate")
            size = max(len(self._inode.data), offset + length)
            self._disk.take_room(size - len(self._inode.data))
            self._change(Write(self._number, 0, b"", size), "allocate")

    def truncate(self, size: int) -> None:
        """Set the file's size."""
        with self._disk.lock:
            self._require_writable()
            self._disk.take_room(size - len(self._inode.data))
            self._change(Write(self._number, 0, b"", size), "truncate")

    def size(self) -> int:
        """Return the file's size."""
        return len(self._inode.data)

    @property
    def protected(self) -> bool:
        """Tell whether ``protect`` was called."""
        return self._inode.protected

    def protect(self) -> None:
        """Refuse writes through files opened later."""
        self._inode.protected = True

    def lock(self) -> bool:
        """Take the file's lock."""
        with self._disk.lock:
            if self._inode.locked and not self._holder:
                return False
            self._inode.locked = self._holder = True
            return True

    def start_writeback(self, offset: int, length: int) -> None:
        """Do nothing: a hint changes no promise."""

    def close(self) -> None:
        """Give back the lock."""
        with self._disk.lock:
            if self._holder:
                self._inode.locked = self._holder = False

    def _require_writable(self) -> None:
        if not self._writable:
            raise IntegrityError("written to a file that was opened for reading")

    def _change(self, write: Write, what: str) -> None:
        inode = self._inode
        if write.size is not None:
            _resize(inode.data, write.size)
        _put(inode.data, write.offset, write.data)
        inode.pending.append(write)
        self._disk.note(what)


class RecordingDisk:
    """A file system in memory. ``moments`` has an entry for every operation that changed it."""

    def __init__(
        self, files: Mapping[Path, bytes] | None = None, *, room: int | None = None
    ) -> None:
        """Make a disk.

        Args:
            files: what is on it, durably.
            room: bytes that may still be taken; None for no limit.
        """
        self.lock = RLock()
        self.inodes: list[Inode] = []
        self.names_: dict[Path, int] = {}
        self.durable_names: dict[Path, int] = {}
        self.moments: list[Moment] = []
        self.recording = False
        self.room = room
        self.failing: set[str] = set()  # operations that fail from now on
        for path, data in (files or {}).items():
            self.inodes.append(Inode(bytearray(data), bytes(data)))
            self.names_[path] = self.durable_names[path] = len(self.inodes) - 1

    def create(self, path: Path) -> MemoryFile:
        """Create a file."""
        with self.lock:
            self.check("create")
            if path in self.names_:
                raise FileExistsError(path)
            self.inodes.append(Inode())
            self.names_[path] = len(self.inodes) - 1
            self.note("create")
            return MemoryFile(self, len(self.inodes) - 1, writable=True)

    def open(self, path: Path, *, writable: bool = False) -> MemoryFile:
        """Open a file."""
        with self.lock:
            number = self.names_.get(path)
            if number is None:
                raise FileNotFoundError(path)
            if writable and self.inodes[number].protected:
                raise IntegrityError("the file is protected")
            return MemoryFile(self, number, writable=writable)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file."""
        with self.lock:
            self.names_[new] = self.names_.pop(old)
            self.note("rename")

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        with self.lock:
            number = self.names_.pop(path, None)
            if number is not None and self.room is not None:
                self.room += len(self.inodes[number].data)
            self.note("unlink")

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        with self.lock:
            self.check("sync_directory")
            for names in (self.durable_names, self.names_):
                for name in [name for name in names if name.parent == path]:
                    if name in self.names_:
                        self.durable_names[name] = self.names_[name]
                    else:
                        del self.durable_names[name]
            self.note("sync_directory")

    def names(self, path: Path) -> list[str]:
        """Return the names in a directory."""
        with self.lock:
            return sorted(name.name for name in self.names_ if name.parent == path)

    def files(self) -> dict[Path, bytes]:
        """Return what processes see now."""
        with self.lock:
            return {path: bytes(self.inodes[number].data) for path, number in self.names_.items()}

    def check(self, what: str) -> None:
        """Fail if the test wants ``what`` to fail."""
        if what in self.failing:
            raise IntegrityError("the disk refused")

    def take_room(self, growth: int) -> None:
        """Count bytes against the limit."""
        if self.room is None:
            return
        if growth > self.room:
            raise ArchiveFullError("the disk has no room")
        self.room -= growth

    def note(self, what: str) -> None:
        """Remember the state after an operation."""
        if not self.recording:
            return
        pending = tuple(write for inode in self.inodes for write in inode.pending)
        self.moments.append(
            Moment(
                len(self.moments),
                what,
                {number: inode.durable for number, inode in enumerate(self.inodes)},
                dict(self.durable_names),
                dict(self.names_),
                pending,
            )
        )


def cuts(moment: Moment, choose: Callable[[int], int]) -> Iterator[dict[Path, bytes]]:
    """Yield images of a cut at ``moment``, from the plain ones to the odd ones.

    Args:
        moment: when the power goes.
        choose: returns a number below its argument; a seeded generator makes a test repeatable.
    """
    last = len(moment.pending) - 1

    def torn(number: int, write: Write) -> Pieces:
        end = choose(len(write.data) + 1) if number == last else len(write.data)
        return [(0, write.data[:end])]

    for names in (False, True):
        yield moment.image(lambda _number, _write: None, names=names)
        yield moment.image(lambda _number, write: [(0, write.data)], names=names)
        yield moment.image(torn, names=names)
        yield moment.image(lambda _number, write: _some_sectors(write, choose), names=names)
        yield moment.image(  # reordered: any subset of the writes
            lambda _number, write: [(0, write.data)] if choose(2) else None, names=names
        )


def _some_sectors(write: Write, choose: Callable[[int], int]) -> Pieces:
    """Return two thirds of the sectors of a write; the others keep what was there."""
    first = SECTOR - write.offset % SECTOR  # a write that begins within a sector
    edges = [0, *range(first, len(write.data), SECTOR), len(write.data)]
    return [(start, write.data[start:end]) for start, end in pairwise(edges) if choose(3)]
