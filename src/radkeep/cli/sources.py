# SPDX-License-Identifier: Apache-2.0
"""Files that ``import`` is given: folders, files, zip archives.

Invariant: bytes are streamed and counted; nothing is unpacked to disk, and no name in an archive
is used for anything but telling a person which file was meant.
"""

import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from radkeep.domain.errors import InvalidRequestError, NotFoundError, TooLargeError
from radkeep.domain.limits import MAX_OBJECT_BYTES

PIECE: Final = 1 << 20  # bytes read at a time
MAX_ENTRIES: Final = 1_000_000  # files in one zip
MAX_RATIO: Final = 1_000  # unpacked bytes for one packed byte; above it is a bomb
_IGNORED: Final = frozenset({"DICOMDIR", "LOCKFILE", "VERSION"})  # parts of media (PS3.10, PS3.12)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to import."""

    name: str  # for people
    opener: "Path | tuple[zipfile.ZipFile, zipfile.ZipInfo]"

    def pieces(self) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            TooLargeError: more than a limit, or more than the archive says.
            InvalidRequestError: the archive is damaged.
        """
        if isinstance(self.opener, Path):
            with self.opener.open("rb") as file:
                yield from _read(file, MAX_OBJECT_BYTES)
            return
        archive, entry = self.opener
        limit = min(entry.file_size, MAX_OBJECT_BYTES)
        if entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise TooLargeError("a packed file unpacks to far more than its size")
        try:
            with archive.open(entry) as packed:
                yield from _read(packed, limit)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
            raise InvalidRequestError("a packed file cannot be read") from error


def sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Yield every file below ``paths``; directories of media (DICOMDIR) are never followed.

    Raises:
        NotFoundError: a path does not exist.
        InvalidRequestError: an archive is damaged.
        TooLargeError: an archive has too many entries.
    """
    for path in paths:
        if path.is_dir():
            for found in sorted(path.rglob("*")):
                if found.is_file() and not found.is_symlink() and found.name not in _IGNORED:
                    yield from _of_file(found, str(found.relative_to(path)))
        elif path.is_file():
            yield from _of_file(path, path.name)
        else:
            raise NotFoundError(f"no such file: {path.name}")


def _of_file(path: Path, name: str) -> Iterator[Source]:
    if not zipfile.is_zipfile(path):
        yield Source(name, path)
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise TooLargeError("the archive has too many files")
        for entry in entries:
            base = entry.filename.rpartition("/")[2]
            if not entry.is_dir() and base not in _IGNORED and not _is_link(entry):
                yield Source(f"{name}:{entry.filename}", (archive, entry))


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def _read(file: IO[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    while piece := file.read(PIECE):
        total += len(piece)
        if total > limit:
            raise TooLargeError("a file is over the limit, or larger than its archive says")
        yield piece
