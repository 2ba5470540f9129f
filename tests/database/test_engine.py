# SPDX-License-Identifier: Apache-2.0
"""The database keeps its word: nothing half written, nothing in clear, errors named."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from radkeep.database import engine
from radkeep.database.engine import Database, RuleViolationError
from radkeep.domain.errors import AlreadyExistsError, IntegrityError, UnavailableError

KEY = bytes(range(32))
CANARY = "CANARY^PATIENT"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    base = Database(tmp_path / "test.db", KEY)
    with base.write() as connection:
        connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE) STRICT")
        connection.execute("CREATE TABLE reply (note INTEGER NOT NULL REFERENCES note (id)) STRICT")
        connection.execute(
            "CREATE TRIGGER kept BEFORE DELETE ON note BEGIN SELECT RAISE(ABORT, 'kept'); END"
        )
    yield base
    base.close()


def notes(database: Database) -> list[str]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY id")]


def add(database: Database, *texts: str, fail: bool = False) -> None:
    with database.write() as connection:
        for text in texts:
            connection.execute("INSERT INTO note (text) VALUES (?)", (text,))
        if fail:
            raise ZeroDivisionError


def test_commits_on_leaving_and_rolls_back_on_any_error(database: Database) -> None:
    add(database, "kept")
    with pytest.raises(ZeroDivisionError):
        add(database, "lost", fail=True)
    with pytest.raises(AlreadyExistsError):
        add(database, "lost too", "kept")
    assert notes(database) == ["kept"]


def test_broken_rules_have_our_names(database: Database) -> None:
    add(database, "one")
    with pytest.raises(RuleViolationError), database.write() as connection:
        connection.execute("DELETE FROM note")
    with pytest.raises(RuleViolationError), database.write() as connection:
        connection.execute("INSERT INTO reply (note) VALUES (77)")
    assert notes(database) == ["one"]


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(UnavailableError), database.read() as connection:
        connection.execute("INSERT INTO note (text) VALUES ('x')")
    assert notes(database) == []


def test_a_reader_sees_one_state(database: Database) -> None:
    add(database, "one")
    with database.read() as connection:
        before = connection.execute("SELECT count(*) FROM note").fetchone()
        add(database, "two")
        assert connection.execute("SELECT count(*) FROM note").fetchone() == before == (1,)
    assert notes(database) == ["one", "two"]


def test_nothing_of_the_file_or_its_log_is_in_clear(database: Database, tmp_path: Path) -> None:
    add(database, CANARY)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["test.db", "test.db-shm", "test.db-wal"]
    for file in files:
        assert CANARY.encode() not in file.read_bytes()
        assert b"SQLite format" not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600


def test_another_key_does_not_open_it(database: Database, tmp_path: Path) -> None:
    add(database, "one")
    database.close()
    with pytest.raises(IntegrityError):
        Database(tmp_path / "test.db", bytes(32))
    again = Database(tmp_path / "test.db", KEY)
    assert notes(again) == ["one"]
    again.close()


def test_a_key_has_32_bytes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Database(tmp_path / "x.db", b"short")


def test_a_flipped_byte_is_found(database: Database, tmp_path: Path) -> None:
    for number in range(200):
        add(database, f"{number:>200}")
    assert database.integrity() == []
    database.close()
    raw = bytearray((tmp_path / "test.db").read_bytes())
    raw[3 * 4096 + 100] ^= 1
    (tmp_path / "test.db").write_bytes(raw)
    again = Database(tmp_path / "test.db", KEY)
    assert again.integrity()
    with pytest.raises(IntegrityError):
        notes(again)
    again.close()


def test_a_copy_is_whole_private_and_encrypted(database: Database, tmp_path: Path) -> None:
    add(database, CANARY)
    database.copy_to(tmp_path / "copy.db")
    assert CANARY.encode() not in (tmp_path / "copy.db").read_bytes()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    copy = Database(tmp_path / "copy.db", KEY)
    assert notes(copy) == [CANARY]
    copy.close()
    with pytest.raises(AlreadyExistsError):
        database.copy_to(tmp_path / "copy.db")


def test_threads_share_it(database: Database) -> None:
    barrier = Barrier(4)

    def work(worker: int) -> None:
        barrier.wait(10)
        for number in range(25):
            add(database, f"{worker}/{number}")
            assert f"{worker}/{number}" in notes(database)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(notes(database)) == 100
    assert len(database._idle) <= 4


def test_a_writer_that_waits_too_long_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    inside, leave = Event(), Event()

    def hold() -> None:
        with database.write():
            inside.set()
            leave.wait(10)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        inside.wait(10)
        with pytest.raises(UnavailableError, match="busy"):
            add(database, "late")
        leave.set()
        held.result()
    add(database, "now")
    assert notes(database) == ["now"]


_OTHER = """
import sys
from pathlib import Path
from radkeep.database.engine import Database
database = Database(Path(sys.argv[1]), bytes(range(32)))
with database.write() as connection:
    connection.execute("INSERT INTO note (text) VALUES ('other')")
    print("held", flush=True)
    sys.stdin.readline()
    if sys.argv[2] == "die":
        import os
        os._exit(9)
database.close()
"""


@pytest.mark.parametrize(("end", "expected"), [("commit", ["other"]), ("die", [])])
def test_another_process_is_waited_for_and_its_death_leaves_nothing(
    database: Database,
    tmp_path: Path,
    end: str,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(tmp_path / "test.db"), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
        with pytest.raises(UnavailableError, match="busy"):
            add(database, "late")
        other.stdin.write("go\n")
        other.stdin.flush()
        other.wait(10)
    assert notes(database) == expected


def test_after_close_it_is_unavailable(database: Database) -> None:
    database.close()
    with pytest.raises(UnavailableError):
        notes(database)
    with pytest.raises(UnavailableError):
        add(database, "late")


def test_a_checkpoint_empties_the_log_into_the_file(database: Database, tmp_path: Path) -> None:
    before = (tmp_path / "test.db").stat().st_size
    for number in range(100):
        add(database, f"{number:>200}")
    database.checkpoint()
    assert (tmp_path / "test.db").stat().st_size > before
