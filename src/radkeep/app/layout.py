# SPDX-License-Identifier: Apache-2.0
"""The data directory: what lies where, and who holds it.

Invariant: every path of the data directory is named here, and nothing of it comes from the wire.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radkeep.audit.records import HEADER
from radkeep.domain.errors import ConfigError, IntegrityError

_NOT_OURS: Final = frozenset({"lost+found"})  # what a file system of its own begins with
PRIVATE: Final = 0o700  # of directories; files are created with 0600
_OTHERS: Final = 0o077  # what group and others may do
VARIABLE: Final = "RADKEEP_DATA"
DEFAULT: Final = "radkeep-data"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one data directory."""

    data: Path

    @classmethod
    def at(cls, data: str | None) -> "Layout":
        """Return the layout of ``data``, else of $RADKEEP_DATA, else of ./radkeep-data."""
        return cls(Path(data or os.environ.get(VARIABLE) or DEFAULT).absolute())

    @property
    def keyring(self) -> Path:
        """Wrapped keys and the root's public parameters."""
        return self.data / "keyring"

    @property
    def volumes(self) -> Path:
        """Sealed records."""
        return self.data / "volumes"

    @property
    def catalog(self) -> Path:
        """The derived database; may be deleted and rebuilt."""
        return self.data / "catalog.db"

    @property
    def registry(self) -> Path:
        """The database of what people edit."""
        return self.data / "registry.db"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.data / "audit"

    @property
    def tls(self) -> Path:
        """Certificates, public; private keys are in the keyring."""
        return self.data / "tls"

    @property
    def run(self) -> Path:
        """Lock and sockets of the running server."""
        return self.data / "run"

    @property
    def control_socket(self) -> Path:
        """Where the command line reaches the web process."""
        return self.run / "control.sock"

    @property
    def supervisor_socket(self) -> Path:
        """Where the command line reaches the supervisor."""
        return self.run / "supervisor.sock"

    def create(self) -> None:
        """Make the directories, readable by their owner alone."""
        for folder in (
            self.data,
            self.keyring,
            self.volumes,
            self.audit,
            self.tls,
            self.run,
            self.data / "quarantine",
            self.data / "cache",
        ):
            folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            folder.chmod(PRIVATE)

    def require_private(self) -> None:
        """Return only if nobody but this user, and root, can enter the data directory.

        A restored copy, a mount or a careless chmod may have opened it since it was made.

        Raises:
            ConfigError: others can, or it is another user's.
        """
        for folder in (self.data, self.keyring, self.volumes, self.audit, self.tls, self.run):
            status = folder.stat()
            if status.st_uid != os.geteuid():
                raise ConfigError(f"the data directory ({folder.name}) belongs to another user")
            if status.st_mode & _OTHERS:
                raise ConfigError(
                    f"others can enter the data directory ({folder.name}); run: chmod 700 on it"
                )

    def require_whole(self) -> None:
        """Return only if registry and audit log are there: neither can be made again.

        A new, empty one in its place would say that nobody has an account, or that nothing ever
        happened.

        Raises:
            IntegrityError: one of them is missing.
        """
        if not self.registry.is_file() or not self.registry.stat().st_size:
            raise IntegrityError("the registry is missing; restore it from a backup")
        if not any(path.stat().st_size > HEADER for path in self.audit.glob("*.tree")):
            raise IntegrityError("the audit log is missing; restore it from a backup")

    def content(self) -> Sequence[Path]:
        """Return what lies in the data directory; nothing if there is none."""
        if not self.data.exists():
            return []
        return [entry for entry in self.data.iterdir() if entry.name not in _NOT_OURS]

    def clear(self) -> None:
        """Delete all that lies in the data directory, whose lock the caller holds."""
        for entry in self.content():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


@contextmanager
def locked(layout: Layout) -> Iterator[int]:
    """Hold the data directory's lock, and give its descriptor.

    A process that inherits the descriptor holds the lock as well, until it ends.

    Raises:
        ConfigError: there is no data directory, others can enter it, or another process holds its
            lock.
    """
    try:
        layout.require_private()
    except FileNotFoundError:
        raise ConfigError("no data directory here; run: radkeep init") from None
    descriptor = os.open(layout.run / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("another server or command uses this data directory") from None
        yield descriptor
    finally:
        os.close(descriptor)
