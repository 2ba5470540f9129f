# SPDX-License-Identifier: Apache-2.0
"""Files that ``import`` is given: folders, files, zip archives.

Invariant: bytes are streamed and counted; nothing is unpacked to disk, no link is followed, and no
name is used for anything but telling a person which file was meant. What cannot be read is a
source like any other, that says so when it is read.
"""

import functools
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from radkeep.cli.text import shown
from radkeep.domain.errors import InvalidRequestError, NotFoundError, TooLargeError
from radkeep.domain.limits import MAX_OBJECT_BYTES

PIECE: Final = 1 << 20  # bytes read at a time
MAX_ENTRIES: Final = 1_000_000  # files in one zip
MAX_RATIO: Final = 1_000  # unpacked bytes for one packed byte; above it is a bomb
_IGNORED: Final = frozenset({"DICOMDIR", "LOCKFILE", "VERSION"})  # parts of media (PS3.10, PS3.12)
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_DICOM: Final = (b"DICM", 128)  # PS3.10 Section 7.1: after a preamble that may hold anything
_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to import.

    ``pieces`` yields the content; it raises InvalidRequestError when that cannot be read, and
    TooLargeError beyond a limit.
    """

    name: str  # for people
    pieces: Callable[[], Iterator[bytes]]


def sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Yield every file below ``paths``; directories of media (DICOMDIR) are left out.

    Raises:
        NotFoundError: a path does not exist; nothing was yielded.
    """
    for path in paths:
        if not path.is_dir() and not path.is_file():
            raise NotFoundError(f"no such file: {shown(path.name)}")
    for path in paths:
        yield from _of_folder(path) if path.is_dir() else _of_file(path, path.name)


def _of_folder(top: Path) -> Iterator[Source]:
    failed: list[OSError] = []
    for folder, folders, names in os.walk(top, onerror=failed.append):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            place = str(path.relative_to(top))
            if path.is_symlink():
                yield _refused(place, "a link is not followed")
            elif path.is_file() and name.upper() not in _IGNORED:
                yield from _of_file(path, place)
    for error in failed:
        yield _refused(str(error.filename), "the folder cannot be read")


def _of_file(path: Path, name: str) -> Iterator[Source]:
    try:
        if not _is_zip(path):
            yield Source(shown(name), functools.partial(_whole, path))
            return
        archive = zipfile.ZipFile(path)
    except OSError:
        yield _refused(name, "the file cannot be read")
        return
    except _DAMAGE:
        yield _refused(name, "the archive is damaged")
        return
    with archive:
        yield from _of_archive(archive, name)


def _of_archive(archive: zipfile.ZipFile, name: str) -> Iterator[Source]:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        yield _refused(name, "the archive has too many files")
        return
    for entry in entries:
        base = entry.filename.replace("\\", "/").rpartition("/")[2]
        place = f"{name}:{entry.filename}"
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield _refused(place, "a link is not followed")
        elif not entry.is_dir() and base.upper() not in _IGNORED:
            yield Source(shown(place), functools.partial(_unpacked, archive, entry))


def _refused(name: str, reason: str) -> Source:
    def pieces() -> Iterator[bytes]:
        raise InvalidRequestError(reason)

    return Source(shown(name), pieces)


def _whole(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from _read(file, MAX_OBJECT_BYTES)
    except OSError as error:
        raise InvalidRequestError("the file cannot be read") from error


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        raise TooLargeError("a packed file unpacks to far more than its size")
    try:
        with archive.open(entry) as packed:
            yield from _read(packed, min(entry.file_size, MAX_OBJECT_BYTES))
    except (*_DAMAGE, OSError) as error:
        raise InvalidRequestError("a packed file cannot be read") from error


def _read(file: IO[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    while piece := file.read(PIECE):
        total += len(piece)
        if total > limit:
            raise TooLargeError("a file is over the limit, or larger than its archive says")
        yield piece


def _is_zip(path: Path) -> bool:
    """Tell by how it begins; a DICOM file may end, or its preamble begin, like an archive."""
    mark, offset = _DICOM
    with path.open("rb") as file:
        head = file.read(offset + len(mark))
    return head.startswith(_ZIP) and head[offset:] != mark
