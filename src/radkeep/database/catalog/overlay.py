# SPDX-License-Identifier: Apache-2.0
"""The registry's deletions as the catalog shows them.

Invariant: the copy is made from what the registry says while the catalog's turn to write is held,
so an older state never follows a newer one; counts and modalities tell what is left.
"""

from dataclasses import dataclass, field
from typing import Final

from radkeep.database.catalog.entities import update_modalities
from radkeep.database.engine import Connection, Database, Row
from radkeep.retrieval.ports import Changes

_HIDE: Final = (
    "UPDATE instance SET deleted = ?1"
    " WHERE organization = (SELECT id FROM organization WHERE name = ?2) AND uid = ?3"
    " AND deleted <> ?1 RETURNING series, data_set_length"
)
_COUNT_SERIES: Final = (
    "UPDATE series SET instances ="
    " (SELECT count(*) FROM instance i WHERE i.series = series.id AND i.deleted = 0)"
    " WHERE id = ?"
)
_COUNT_STUDY: Final = (
    "UPDATE study SET (instances, series, hidden) ="
    " (SELECT coalesce(sum(s.instances), 0), count(*), count(*) = 0 FROM series s"
    " WHERE s.study = study.id AND s.instances > 0) WHERE id = ?"
)
_TOTALS: Final = "SELECT 1 - hidden, series, instances, organization FROM study WHERE id = ?"
_ADD: Final = (
    "UPDATE organization SET studies = studies + ?, series = series + ?,"
    " instances = instances + ?, bytes = bytes + ? WHERE id = ?"
)


def version(database: Database) -> int:
    """Return the version of the registry's deletions that the catalog shows."""
    with database.read() as connection:
        return _version(connection)


def overlay(database: Database, changes: Changes, *, anew: bool = False) -> int:
    """Show what ``changes`` tells since the version that is shown; return the new version.

    Args:
        database: the catalog.
        changes: reads the registry.
        anew: take everything again, as after a replay, which may have entered what is deleted.

    Raises:
        UnavailableError: no turn to write in time; nothing is changed.
        ArchiveFullError: the disk is full; nothing is changed.
    """
    with database.write() as connection:
        since = 0 if anew else _version(connection)
        known, rows = changes(since)
        if known < since:  # an older registry was put back
            anew, (known, rows) = True, changes(0)
        touched: dict[int, _Touched] = {}
        if anew:
            hidden = {(organization, uid) for organization, uid, deleted in rows if deleted}
            rows = [*rows, *((*name, False) for name in _hidden(connection) - hidden)]
        for organization, uid, deleted in rows:
            row = connection.execute(_HIDE, (int(deleted), organization, uid)).fetchone()
            if row is not None:
                study = touched.setdefault(_study_of(connection, row[0]), _Touched())
                study.series.add(row[0])
                study.bytes += -row[1] if deleted else row[1]
        for study_id, study in touched.items():
            _recount(connection, study_id, study)
        connection.execute("UPDATE overlay SET version = ?", (known,))
    return known


@dataclass(slots=True)
class _Touched:
    """What changed in one study."""

    series: set[int] = field(default_factory=set)
    bytes: int = 0  # that came back, less those that went


def _version(connection: Connection) -> int:
    number: int = _one(connection, "SELECT version FROM overlay")[0]
    return number


def _hidden(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(
        "SELECT o.name, i.uid FROM instance i INDEXED BY instance_deleted"
        " JOIN organization o ON o.id = i.organization WHERE i.deleted = 1"
    )
    return {(row[0], row[1]) for row in rows}


def _study_of(connection: Connection, series: int) -> int:
    study: int = _one(connection, "SELECT study FROM series WHERE id = ?", series)[0]
    return study


def _recount(connection: Connection, study: int, changed: _Touched) -> None:
    before = _one(connection, _TOTALS, study)
    for series in changed.series:
        connection.execute(_COUNT_SERIES, (series,))
    connection.execute(_COUNT_STUDY, (study,))
    update_modalities(connection, study)
    after = _one(connection, _TOTALS, study)
    more = [new - old for new, old in zip(after[:3], before[:3], strict=True)]
    connection.execute(_ADD, (*more, changed.bytes, before[3]))


def _one(connection: Connection, sql: str, *values: object) -> Row:
    row = connection.execute(sql, values).fetchone()
    if row is None:
        raise AssertionError("a row that another one names is not there")
    return row
