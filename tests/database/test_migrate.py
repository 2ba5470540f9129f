# SPDX-License-Identifier: Apache-2.0
"""Migrations go forward only, whole, and never over a file that others made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from radkeep.database.engine import Database
from radkeep.database.migrate import Step, migrate, read_steps, steps_of
from radkeep.domain.errors import ConfigError, RadkeepError

KEY = bytes(range(32))
FIRST = Step(
    1,
    "0001_first.sql",
    """-- a comment; with a semicolon
CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TRIGGER note_kept BEFORE DELETE ON note
BEGIN
    SELECT RAISE(ABORT, 'append-only');
END;
INSERT INTO note (text) VALUES ('a; b');
""",
)
SECOND = Step(2, "0002_second.sql", "ALTER TABLE note ADD COLUMN author TEXT NOT NULL DEFAULT '';")
BROKEN = Step(2, "0002_second.sql", "INSERT INTO note (text) VALUES ('x');\nINSERT INTO nope;\n")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    base = Database(tmp_path / "test.db", KEY)
    yield base
    base.close()


def rows(database: Database) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return connection.execute("SELECT * FROM note").fetchall()


def test_applies_what_lacks_and_then_nothing(database: Database) -> None:
    assert migrate(database, [FIRST]) == 1
    assert migrate(database, [FIRST]) == 0
    assert migrate(database, [FIRST, SECOND]) == 1  # the old fixture moves on
    assert rows(database) == [(1, "a; b", "")]
    with pytest.raises(RadkeepError), database.write() as connection:
        connection.execute("DELETE FROM note")


def test_a_step_that_fails_leaves_nothing(database: Database) -> None:
    migrate(database, [FIRST])
    with pytest.raises(Exception, match=r"near \";\""):
        migrate(database, [FIRST, BROKEN])
    assert rows(database) == [(1, "a; b")]
    assert migrate(database, [FIRST, SECOND]) == 1


def test_an_edited_step_is_refused(database: Database) -> None:
    migrate(database, [FIRST])
    with pytest.raises(ConfigError, match="other migrations"):
        migrate(database, [Step(1, FIRST.name, FIRST.script + "\n"), SECOND])


def test_a_newer_file_is_refused(database: Database) -> None:
    migrate(database, [FIRST, SECOND])
    with pytest.raises(ConfigError, match="newer"):
        migrate(database, [FIRST])


def test_a_script_that_ends_too_early_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="within a statement"):
        migrate(database, [Step(1, "0001_x.sql", "CREATE TABLE t (a)")])


def test_numbers_have_no_gap(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    (tmp_path / "0003_b.sql").write_text("SELECT 1;")
    with pytest.raises(ValueError, match="numbered"):
        read_steps(tmp_path)


def test_ours_apply_to_an_empty_file(database: Database) -> None:
    steps = steps_of("catalog")
    assert steps
    assert migrate(database, steps) == len(steps)
    assert migrate(database, steps) == 0
