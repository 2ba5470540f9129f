# SPDX-License-Identifier: Apache-2.0
"""The only door to the file system for volumes and keyring.

Invariant: nothing above this module calls the operating system, so a test that records here sees
every byte and every sync. Names are ours; files are readable by their owner alone.
"""

import ctypes
import errno
import fcntl
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, Self

from radkeep.domain.errors import ArchiveFullError, IntegrityError, RadkeepError, UnavailableError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BUSY: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
LEFT_FREE: Final = 64 << 20  # bytes of the disk, for the audit log, the keyring and the databases
_SMALL: Final = 256 << 10  # bytes that finish what was accepted: they may come out of that
_MAX_VIEWS: Final = 1024  # buffers in one call, Linux IOV_MAX
_WRITEBACK: Final = 2  # SYNC_FILE_RANGE_WRITE: start to write, wait for nothing


class File(Protocol):
    """One open file. Thread-safe; closed with ``close`` or with its last reference."""

    def write(self, views: Sequence[memoryview | bytes], offset: int) -> int:
        """Write ``views`` one behind the other at ``offset``; return how many bytes.

        Raises:
            ArchiveFullError: no room; some of the bytes may have been written.
            IntegrityError: the disk refused.
        """
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes at ``offset``; fewer only at the end of the file.

        Raises:
            IntegrityError: the disk refused.
        """
        ...

    def sync(self) -> None:
        """Return once all bytes written so far, and the size, are durable.

        Raises:
            IntegrityError: they may not be, and never will be: do not call again.
        """
        ...

    def allocate(self, offset: int, length: int) -> None:
        """Reserve room, which reads as zeros; the file's size grows.

        Raises:
            ArchiveFullError: no room, or none that may be taken from the rest of the server.
        """
        ...

    def truncate(self, size: int) -> None:
        """Cut the file at ``size`` bytes."""
        ...

    def size(self) -> int:
        """Return the file's size in bytes."""
        ...

    @property
    def protected(self) -> bool:
        """Tell whether ``protect`` was called, now or in another life."""
        ...

    def protect(self) -> None:
        """Take away the permission to write (0400)."""
        ...

    def lock(self) -> bool:
        """Take the file's lock until it is closed; False when another holder has it."""
        ...

    def start_writeback(self, offset: int, length: int) -> None:
        """Ask the system to begin writing to the disk; a hint, no promise."""
        ...

    def close(self) -> None:
        """Close the file; may be called again."""
        ...


class Disk(Protocol):
    """A file system as the archive uses it. Thread-safe."""

    def create(self, path: Path) -> File:
        """Create a file that must not exist. Its name is durable after ``sync_directory``.

        Raises:
            ArchiveFullError: no room.
        """
        ...

    def open(self, path: Path, *, writable: bool = False) -> File:
        """Open a file.

        Raises:
            FileNotFoundError: there is none.
            IntegrityError: it is protected and was to be written, or the disk refused.
        """
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Rename within one directory, over what is there."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return once all names of a directory are durable."""
        ...

    def names(self, path: Path) -> list[str]:
        """Return the names in a directory, sorted; none when there is no such directory."""
        ...


def _failed(error: OSError) -> RadkeepError:
    if error.errno in _FULL:
        return ArchiveFullError("the archive's disk has no room")
    if error.errno in _BUSY:
        return UnavailableError("the archive has too many files open")
    return IntegrityError("the archive's disk refused to read or write")


class SystemFile:
    """A file of the operating system."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._closing = weakref.finalize(self, os.close, descriptor)

    def write(self, views: Sequence[memoryview | bytes], offset: int) -> int:
        """See ``File.write``."""
        rest = list(views)
        written = 0
        try:
            while rest:
                count = os.pwritev(self._descriptor, rest[:_MAX_VIEWS], offset + written)
                written += count
                _drop(rest, count)
        except OSError as error:
            raise _failed(error) from error
        return written

    def read(self, offset: int, length: int) -> bytes:
        """See ``File.read``."""
        try:
            data = os.pread(self._descriptor, length, offset)
            while data and len(data) < length:
                more = os.pread(self._descriptor, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise _failed(error) from error
        return data

    def sync(self) -> None:
        """See ``File.sync``."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:  # also when full: the pages are lost either way
            raise IntegrityError("the archive's disk failed to keep what was written") from error

    def allocate(self, offset: int, length: int) -> None:
        """See ``File.allocate``."""
        disk = os.fstatvfs(self._descriptor)
        if length > _SMALL and disk.f_bavail * disk.f_frsize < length + LEFT_FREE:
            raise ArchiveFullError("the archive's disk has no room")
        try:
            os.posix_fallocate(self._descriptor, offset, length)
        except OSError as error:
            raise _failed(error) from error

    def truncate(self, size: int) -> None:
        """See ``File.truncate``."""
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise _failed(error) from error

    def size(self) -> int:
        """See ``File.size``."""
        return os.fstat(self._descriptor).st_size

    @property
    def protected(self) -> bool:
        """Tell whether ``protect`` was called, now or in another life."""
        return not os.fstat(self._descriptor).st_mode & 0o222

    def protect(self) -> None:
        """See ``File.protect``."""
        os.fchmod(self._descriptor, 0o400)

    def lock(self) -> bool:
        """See ``File.lock``."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def start_writeback(self, offset: int, length: int) -> None:
        """See ``File.start_writeback``."""
        if _sync_file_range is not None:
            _sync_file_range(self._descriptor, offset, length, _WRITEBACK)

    def close(self) -> None:
        """See ``File.close``."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class SystemDisk:
    """The file system of the operating system."""

    def create(self, path: Path) -> SystemFile:
        """See ``Disk.create``."""
        try:
            return SystemFile(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | _COMMON, 0o600))
        except OSError as error:
            raise _failed(error) from error

    def open(self, path: Path, *, writable: bool = False) -> SystemFile:
        """See ``Disk.open``."""
        try:
            file = SystemFile(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | _COMMON))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _failed(error) from error
        if writable and file.protected:  # the superuser may open it all the same
            file.close()
            raise IntegrityError("a protected file was to be written")
        return file

    def rename(self, old: Path, new: Path) -> None:
        """See ``Disk.rename``."""
        try:
            old.rename(new)
        except OSError as error:
            raise _failed(error) from error

    def unlink(self, path: Path) -> None:
        """See ``Disk.unlink``."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """See ``Disk.sync_directory``."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed(error) from error

    def names(self, path: Path) -> list[str]:
        """See ``Disk.names``."""
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []


_COMMON: Final = os.O_CLOEXEC | os.O_NOFOLLOW


def _drop(views: list[memoryview | bytes], count: int) -> None:
    """Take ``count`` written bytes from the front of ``views``."""
    done = 0
    while done < len(views) and count >= len(views[done]):
        count -= len(views[done])
        done += 1
    del views[:done]
    if count:
        views[0] = memoryview(views[0])[count:]


def _find_sync_file_range() -> "ctypes._NamedFuncPointer | None":
    function = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if function is not None:  # Linux; elsewhere the hint is not given
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        function.restype = ctypes.c_int
    return function


_sync_file_range: Final = _find_sync_file_range()
