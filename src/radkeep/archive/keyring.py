# SPDX-License-Identifier: Apache-2.0
"""The keyring: every key of the installation, wrapped by its parent (docs/formats/keyring.md).

Invariant: an entry that ``KeyringWriter.append`` returned for is durable in file and mirror, and
neither is ever changed before its end.
"""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from radkeep.archive.disk import Disk, File, SystemDisk
from radkeep.archive.keylog import GENESIS, Entry, merged, pack_frame, read_frame
from radkeep.crypto.seal import KEY, context
from radkeep.crypto.wrap import unwrap, wrap
from radkeep.domain.clock import Clock
from radkeep.domain.errors import IntegrityError, Kind, RadkeepError, UnavailableError

FILE: Final = "keys.log"
ROOT: Final = bytes(16)  # the id by which entries name the root, which is in no keyring
ORGANIZATION: Final = "organization"  # labels
STUDY: Final = "study"
_VERSION: Final = 1
_MAX_CACHED: Final = 65_536  # unwrapped study keys, 32 bytes each


class KeyMissingError(RadkeepError):
    """A record's key is not in the keyring: its study was erased."""

    kind, code = Kind.NOT_FOUND, "key-missing"


def _context(key_id: bytes, label: str, organization: str) -> bytes:
    return context(organization, key_id, f"key:{label}", _VERSION)


def new_key(
    parent: tuple[bytes, bytes], *, label: str, organization: str, clock: Clock
) -> tuple[Entry, bytes]:
    """Make a random key and its entry, wrapped by ``parent``, an id and a key.

    The key may be used only after the entry is durable in the keyring.
    """
    key_id, key = secrets.token_bytes(16), secrets.token_bytes(KEY)
    wrapped = wrap(parent[1], key, _context(key_id, label, organization))
    created = clock.now().isoformat(timespec="seconds")
    return Entry(key_id, label, parent[0], organization, wrapped, created), key


def _open_all(disk: Disk, folders: Sequence[Path], *, writable: bool = False) -> list[File]:
    files = []
    for folder in folders:
        try:
            files.append(disk.open(folder / FILE, writable=writable))
        except FileNotFoundError:
            continue
    return files


class Keyring:
    """Reads and unwraps keys; sees what another process appends. Thread-safe."""

    def __init__(self, files: list[File], known: Mapping[bytes, bytes]) -> None:
        self._files = files
        self._known = dict(known)  # given by the caller: never forgotten
        self._cache: dict[bytes, bytes] = {}
        self._entries: dict[bytes, Entry] = {}
        self._labels: dict[tuple[str, str], bytes] = {}
        self._offset, self._previous = 0, GENESIS
        self._lock = Lock()
        self._refresh(everywhere=False)

    @classmethod
    def open(
        cls,
        directory: Path,
        mirror: Path,
        root: bytes | None = None,
        *,
        known: Mapping[bytes, bytes] | None = None,
        disk: Disk | None = None,
    ) -> "Keyring":
        """Open the keyring for reading; either of the two files will do.

        Args:
            directory: holds the file.
            mirror: holds its mirror.
            root: the root key, in the process that has it.
            known: unwrapped keys by id, in a process that was given some.
            disk: for tests.

        Raises:
            IntegrityError: damaged in both, file and mirror disagree, or there is neither.
        """
        files = _open_all(disk or SystemDisk(), (directory, mirror))
        if not files:
            raise IntegrityError("there is no keyring")
        return cls(files, {**(known or {}), **({ROOT: root} if root else {})})

    def key(self, key_id: bytes) -> bytes:
        """Return the key named ``key_id``, unwrapped through its parents.

        Raises:
            KeyMissingError: there is no such key.
            IntegrityError: it was changed, or a parent is not known here.
        """
        found = self._known.get(key_id) or self._cache.get(key_id)
        if found is not None:
            return found
        entry = self.entry(key_id)
        if entry.parent == ROOT and ROOT not in self._known:
            raise IntegrityError("a key's parent is not known in this process")
        parent = self.key(entry.parent)
        key = unwrap(parent, entry.wrapped, _context(entry.id, entry.label, entry.organization))
        with self._lock:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[key_id] = key
        return key

    def organization(self, key_id: bytes) -> str:
        """Return the organization that key ``key_id`` belongs to.

        Raises:
            KeyMissingError: there is no such key.
        """
        return self.entry(key_id).organization

    def entry(self, key_id: bytes) -> Entry:
        """Return the entry of ``key_id``; looks for news in the file before it gives up.

        Raises:
            KeyMissingError: there is no such key.
        """
        entry = self._entries.get(key_id)
        if entry is None:
            self._refresh()
            entry = self._entries.get(key_id)
        if entry is None:
            raise KeyMissingError("the key of this object is not in the keyring")
        return entry

    def find(self, label: str, organization: str = "") -> bytes | None:
        """Return the id of the newest key with ``label``; study keys are not found by label."""
        found = self._labels.get((label, organization))
        if found is None:
            self._refresh()
            found = self._labels.get((label, organization))
        return found

    def organizations(self) -> list[str]:
        """Return the organizations that have a key, oldest first."""
        return [name for label, name in self._labels if label == ORGANIZATION]

    def __len__(self) -> int:
        return len(self._entries)

    def _refresh(self, *, everywhere: bool = True) -> None:
        with self._lock:
            found = merged(self._files, self._offset, self._previous, everywhere=everywhere)
            for frame in found:
                for entry in frame.entries:
                    self._entries[entry.id] = entry
                    if entry.label != STUDY:
                        self._labels[entry.label, entry.organization] = entry.id
                self._offset += len(frame.raw)
                self._previous = frame.digest


class KeyringWriter:
    """Appends to the keyring: the supervisor, or a command that holds the data directory's lock."""

    def __init__(self, directory: Path, mirror: Path, *, disk: Disk | None = None) -> None:
        """Open both files, creating what is missing, and make them equal.

        A torn tail is cut, and what one file lacks is copied from the other.

        Raises:
            UnavailableError: another process is the writer.
            IntegrityError: damaged in both, or file and mirror disagree.
            ArchiveFullError: no room.
        """
        self._disk = disk or SystemDisk()
        self._lock = Lock()
        self._dead = False
        self._files = [self._open(directory), self._open(mirror)]
        self._end, self._last = 0, GENESIS
        self._repair()

    def append(self, entries: Sequence[Entry]) -> None:
        """Append ``entries``; they are durable in file and mirror when this returns.

        Raises:
            ArchiveFullError: no room; nothing was appended.
            IntegrityError: a sync failed, now or before; this writer is over.
        """
        if not entries:
            return
        with self._lock:
            if self._dead:
                raise IntegrityError("the keyring's disk failed before")
            frame, digest = pack_frame(self._last, tuple(entries))
            try:
                for file in self._files:
                    file.write([frame], self._end)
            except RadkeepError:
                for file in self._files:
                    file.truncate(self._end)
                raise
            for file in self._files:
                self._sync(file)
            self._end += len(frame)
            self._last = digest

    def close(self) -> None:
        """Give up the files and their lock, once no append is under way; none succeeds after."""
        with self._lock:
            self._dead = True
            for file in self._files:
                file.close()

    def _open(self, folder: Path) -> File:
        try:
            file = self._disk.open(folder / FILE, writable=True)
        except FileNotFoundError:
            file = self._disk.create(folder / FILE)
            self._disk.sync_directory(folder)
        if not file.lock():
            raise UnavailableError("another process writes the keyring")
        return file

    def _repair(self) -> None:
        for frame in merged(self._files, 0, GENESIS):
            for file in self._files:
                there = read_frame(file, self._end)
                if there is None or len(file.read(self._end, len(frame.raw))) < len(frame.raw):
                    file.write([frame.raw], self._end)
            self._end += len(frame.raw)
            self._last = frame.digest
        for file in self._files:
            if file.size() > self._end:
                file.truncate(self._end)
            self._sync(file)

    def _sync(self, file: File) -> None:
        try:
            file.sync()
        except IntegrityError:
            self._dead = True
            raise
