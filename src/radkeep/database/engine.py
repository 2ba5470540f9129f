# SPDX-License-Identifier: Apache-2.0
"""The one door to SQLCipher: encrypted files, short transactions, errors in our own words.

Invariant: every statement runs in a transaction that ends with its ``with`` block; a block that
raises leaves nothing behind. Nothing of a database reaches the disk in clear: pages, write-ahead
log and shared memory hold ciphertext or no content, temporary tables stay in memory.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import Any, ClassVar, Final, Literal, NoReturn, Protocol

from sqlcipher3 import dbapi2

from radkeep.domain.errors import (
    AlreadyExistsError,
    ArchiveFullError,
    IntegrityError,
    Kind,
    RadkeepError,
    UnavailableError,
)

KEY_BYTES: Final = 32  # raw, so that opening costs no key derivation
BUSY_SECONDS: Final = 5.0  # longest wait for another writer, in this process or in another
LONGEST_NAP_SECONDS: Final = 0.004  # between two tries to get a turn; commits take about 1 ms
WRITER_CACHE_KIB: Final = 32_768
READER_CACHE_KIB: Final = 8_192  # each; there are as many readers as threads ever read at once
CHECKPOINT_PAGES: Final = 4_000  # 16 MiB of log: fewer, larger syncs than the usual 1,000 pages
JOURNAL_LIMIT_BYTES: Final = 64 << 20  # the log is cut back to this after a checkpoint
STATEMENTS: Final = 512  # prepared statements kept by each connection

Row = tuple[Any, ...]
Synchronous = Literal["NORMAL", "FULL"]


class Cursor(Protocol):
    """The rows of one statement."""

    @property
    def rowcount(self) -> int:
        """Rows that the statement changed."""
        ...

    @property
    def lastrowid(self) -> int:
        """The row that the last INSERT made."""
        ...

    def fetchone(self) -> Row | None:
        """Return the next row."""
        ...

    def fetchall(self) -> list[Row]:
        """Return the rows that remain."""
        ...

    def __iter__(self) -> Iterator[Row]: ...


class Connection(Protocol):
    """A connection inside a transaction. It must not leave its ``with`` block."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> Cursor:
        """Run one statement; values go in ``parameters`` only."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[object]], /) -> Cursor:
        """Run one statement for each of ``parameters``."""
        ...


class RuleViolationError(RadkeepError):
    """A statement breaks a rule of the schema: a reference, a check, an append-only table."""

    kind, code = Kind.CONFLICT, "rule-violation"


class Database:
    """An encrypted SQLite file in WAL mode. Thread-safe; any number of processes may share it."""

    _FAILURES: ClassVar[dict[int, tuple[type[RadkeepError], str]]] = {
        dbapi2.SQLITE_BUSY: (UnavailableError, "the database is busy"),
        dbapi2.SQLITE_LOCKED: (UnavailableError, "the database is busy"),
        dbapi2.SQLITE_FULL: (ArchiveFullError, "the disk of the database is full"),
        dbapi2.SQLITE_NOTADB: (IntegrityError, "the database does not open with its key"),
        dbapi2.SQLITE_CORRUPT: (IntegrityError, "the database is damaged"),
        dbapi2.SQLITE_IOERR: (UnavailableError, "the disk of the database fails"),
        dbapi2.SQLITE_CANTOPEN: (UnavailableError, "the database cannot be opened"),
        dbapi2.SQLITE_READONLY: (UnavailableError, "the database cannot be written"),
        dbapi2.SQLITE_CONSTRAINT: (RuleViolationError, "a rule of the database is broken"),
    }

    def __init__(self, path: Path, key: bytes, *, synchronous: Synchronous = "NORMAL") -> None:
        """Open the file at ``path``, made with mode 0600 if it is absent.

        ``NORMAL`` may lose the last commits when the power fails, never more: right for what can
        be derived again. ``FULL`` loses nothing that was committed.

        Raises:
            IntegrityError: ``key`` is not the key of the file, or the file is damaged.
            UnavailableError: the file cannot be opened.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"a database key has {KEY_BYTES} bytes")
        self._path = path
        self._key = key
        self._synchronous = synchronous
        self._idle: list[Any] = []  # readers; list.append and list.pop are atomic
        self._write_lock = Lock()
        self._closed = False
        self._deadline = 0.0  # of the transaction that waits for its turn
        self._never = Event()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._translated():
            self._writer = self._connect(WRITER_CACHE_KIB)
            self._writer.set_busy_handler(self._wait_for_turn)

    @property
    def path(self) -> Path:
        """Return where the file lies."""
        return self._path

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a read-only connection that sees one state of the database, that of its first read.

        Keep it short: the log cannot be emptied while a reader needs it.

        Raises:
            UnavailableError: the database is closed or its disk fails.
            IntegrityError: a page is damaged.
        """
        with self._translated():
            connection = self._reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._release(connection)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give the writing connection; commit on leaving, roll back on an error.

        Catch the errors outside the block: there they are ours. Do not nest.

        Raises:
            UnavailableError: no turn within ``BUSY_SECONDS``; nothing was written.
            ArchiveFullError: the disk is full; nothing was written.
            AlreadyExistsError: a key that must be unique is taken.
            RuleViolationError: another rule of the schema is broken.
            IntegrityError: a page is damaged.
        """
        deadline = monotonic() + BUSY_SECONDS
        if not self._write_lock.acquire(timeout=BUSY_SECONDS):
            raise UnavailableError("the database is busy")
        try:
            if self._closed:
                raise UnavailableError("the database is closed")
            with self._translated():
                yield from self._transaction(deadline)
        finally:
            self._write_lock.release()

    def checkpoint(self) -> None:
        """Move what the log holds into the file as far as readers allow; for quiet moments."""
        with self._write_lock, self._translated():
            if not self._closed:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def copy_to(self, target: Path) -> None:
        """Write a compact copy of one state, encrypted with the same key, to a new file.

        Raises:
            AlreadyExistsError: ``target`` exists.
            ArchiveFullError: no room for the copy.
        """
        if target.exists():
            raise AlreadyExistsError("the target of the copy exists")
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with self._translated():
            connection = self._connect(READER_CACHE_KIB)
            try:
                connection.execute("VACUUM INTO ?", (str(target),))
            finally:
                connection.close()

    def integrity(self) -> Sequence[str]:
        """Read and authenticate every page, check every index and reference; return the faults.

        An empty sequence means that the file is sound. Takes time in proportion to its size.
        """
        faults: list[str] = []
        with self._translated():
            connection = self._reader()
        try:
            for pragma in ("cipher_integrity_check", "integrity_check", "foreign_key_check"):
                rows = connection.execute(f"PRAGMA {pragma}").fetchall()
                # Only the kind of fault and its place: a fault's text may quote content.
                faults += [f"{pragma}: {len(rows)}" for _ in rows[:1] if rows != [("ok",)]]
        except dbapi2.DatabaseError as error:
            faults.append(f"unreadable: {error.sqlite_errorname}")
        finally:
            self._release(connection)
        return faults

    def close(self) -> None:
        """Close every connection; what is open in other threads ends at its own leave."""
        with self._write_lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self._writer.close()

    def _transaction(self, deadline: float) -> Iterator[Connection]:
        writer = self._writer
        self._deadline = deadline
        writer.execute("BEGIN IMMEDIATE")
        try:
            yield writer
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:
                writer.execute("ROLLBACK")

    def _wait_for_turn(self, tries: int) -> bool:
        """Wait for another process to commit; SQLite's own handler sleeps up to 0.1 s and starves.

        Called by SQLite, without the interpreter's lock held while it waits.
        """
        self._never.wait(min(0.0005 * (tries + 1), LONGEST_NAP_SECONDS))
        return monotonic() < self._deadline

    def _reader(self) -> Any:  # noqa: ANN401 - the driver ships no types
        try:
            return self._idle.pop()
        except IndexError:
            pass
        if self._closed:
            raise UnavailableError("the database is closed")
        connection = self._connect(READER_CACHE_KIB)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _release(self, connection: Any) -> None:  # noqa: ANN401 - the driver ships no types
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self, cache_kib: int) -> Any:  # noqa: ANN401 - the driver ships no types
        connection = dbapi2.connect(
            os.fspath(self._path),
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS,
        )
        try:
            # Pragmas take no bound values. All of these are ours: hexadecimal digits and numbers.
            # Each page's tag, in copies too: processors hash SHA-256 in hardware, SHA-512 not.
            connection.execute("PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256")
            connection.execute(f"PRAGMA key = \"x'{self._key.hex()}'\"")
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").fetchall()
            connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT_BYTES}").fetchall()
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA secure_delete = ON").fetchall()
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except dbapi2.Error as error:
            self._translate(error)

    def _translate(self, error: Any) -> NoReturn:  # noqa: ANN401 - the driver ships no types
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF  # the primary code of an extended one
        if str(error).startswith("UNIQUE "):  # the driver has no extended codes to tell it by
            raise AlreadyExistsError("something with this key exists") from error
        if code in self._FAILURES:
            failure, message = self._FAILURES[code]
            raise failure(message) from error
        raise error


def complete(statement: str) -> bool:
    """Tell whether ``statement`` ends where a statement of SQL ends, trigger bodies included."""
    return bool(dbapi2.complete_statement(statement))
