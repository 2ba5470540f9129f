# SPDX-License-Identifier: Apache-2.0
"""The one door to the file system for what the log writes; tests put a failing one in its place.

Invariant: everything is created readable by the owner alone, and a file that ``replace`` writes
is there whole or not at all.
"""

import errno
import os
from pathlib import Path


class Disk:
    """Writes files. All methods raise OSError."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open ``path`` for reading and writing; with ``create`` it must be new."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(path, flags | (os.O_CREAT | os.O_EXCL if create else 0), 0o600)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of ``data`` at ``offset``."""
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def sync(self, descriptor: int) -> None:
        """Return once what was written is durable."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut the file to ``length``."""
        os.ftruncate(descriptor, length)

    def sync_directory(self, directory: Path) -> None:
        """Return once the names in ``directory`` are durable."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, path: Path, content: bytes) -> None:
        """Put ``content`` at ``path``, durable, whole or not at all."""
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        descriptor = self.open(draft, create=True)
        try:
            self.write(descriptor, content, 0)
            self.sync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
        self.sync_directory(path.parent)

    def append(self, path: Path, content: bytes) -> None:
        """Add ``content`` to ``path``, whole or not at all; not durable by itself."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            if os.write(descriptor, content) < len(content):
                os.ftruncate(descriptor, before)
                raise OSError(errno.ENOSPC, "no room for the whole of it")
        finally:
            os.close(descriptor)
