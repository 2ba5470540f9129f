# SPDX-License-Identifier: Apache-2.0
"""Brings a database to the schema of this version, step by step and forward only.

Invariant: the steps that made a file are known to this version, byte for byte; a file made by a
newer version, or by an edited step, is refused and left as it is.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Literal

from radkeep.database.engine import Connection, Database, complete
from radkeep.domain.errors import ConfigError

Schema = Literal["catalog", "registry"]
_NAME: Final = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered file of statements."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the script, in hexadecimal."""
        return hashlib.sha256(self.script.encode()).hexdigest()


def steps_of(schema: Schema) -> Sequence[Step]:
    """Return the steps that this version knows, in order."""
    return read_steps(resources.files("radkeep.database") / "migrations" / schema)


def read_steps(folder: Traversable) -> Sequence[Step]:
    """Return the steps in ``folder``: files named ``NNNN_what.sql``, numbered from 1 without gap.

    Raises:
        ValueError: a number is missing or there twice.
    """
    steps: list[Step] = []
    for file in folder.iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            steps.append(Step(int(match["number"]), file.name, file.read_text(encoding="utf-8")))
    steps.sort(key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError("migrations are not numbered 1, 2, 3, ...")
    return steps


def migrate(database: Database, steps: Sequence[Step]) -> int:
    """Apply the steps that ``database`` lacks, all or none, and return how many they were.

    Raises:
        ConfigError: the file was made by a newer version or by other steps.
        UnavailableError: another process writes for too long.
    """
    with database.write() as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration ("
            " number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT"
        )
        known = _applied(connection, steps)
        for step in steps[known:]:
            for statement in _statements(step.script):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO migration (number, name, checksum) VALUES (?, ?, ?)",
                (step.number, step.name, step.checksum),
            )
    return len(steps) - known


def _applied(connection: Connection, steps: Sequence[Step]) -> int:
    rows = connection.execute("SELECT number, checksum FROM migration ORDER BY number").fetchall()
    if len(rows) > len(steps):
        raise ConfigError("the database was made by a newer version of Radkeep")
    if rows != [(step.number, step.checksum) for step in steps[: len(rows)]]:
        raise ConfigError("the database was made by other migrations than this version has")
    return len(rows)


def _statements(script: str) -> Iterator[str]:
    held = ""
    for line in script.splitlines(keepends=True):
        held += line
        if complete(held):
            yield held
            held = ""
    if any(line.strip() and not line.startswith("--") for line in held.splitlines()):
        raise ValueError("a migration ends within a statement")
