# SPDX-License-Identifier: Apache-2.0
"""Searches of every kind: a query becomes one statement, its rows become one page.

Invariant: a search sees one organization and one state of the catalog, and its work is bounded: by
the page where an index answers, by ``MAX_EXAMINED`` rows where each must be looked at.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Final

from radkeep.database.catalog.columns import DEPTH
from radkeep.database.catalog.patients import patients, wants_counts, with_counts
from radkeep.database.catalog.plan import MAX_SORTED, Statement, plan, probe
from radkeep.database.catalog.rows import as_json, everything
from radkeep.database.catalog.where import Condition, condition
from radkeep.database.engine import Connection, Database, Row
from radkeep.dicom.levels import BY_LEVEL, SERIES_UID, STUDY_UID
from radkeep.dicom.matching import matches
from radkeep.dicom.query import MAX_OFFSET, Level, Match, MatchKind, Query
from radkeep.domain.errors import InvalidRequestError
from radkeep.retrieval.ports import Page

MAX_ROWS: Final = 10_000  # of one page; ``more`` tells that there are others
MAX_EXAMINED: Final = 20_000  # rows looked at one by one for a key that has no column


def search(database: Database, organization: str, level: Level, query: Query) -> Page:
    """Return one page of the entities of ``organization`` that match ``query``.

    Keys of the query's level and above are matched, and keys below it that have a column: then one
    series or instance must meet them all. Attributes without a column are matched one row at a
    time, over as many rows as the other keys leave.

    Raises:
        InvalidRequestError: a key cannot be matched at this level, or leaves too many rows to
            look at; a sort key or a number is none.
    """
    conditions, residual = _split(level, query)
    limit = max(0, min(query.limit, MAX_ROWS))
    if not 0 <= query.offset <= MAX_OFFSET:
        raise InvalidRequestError("the offset is out of range")
    with database.read() as connection:
        row = connection.execute(
            "SELECT id FROM organization WHERE name = ?", (organization,)
        ).fetchone()
        number = row[0] if row else 0
        crowded = _crowded(connection, number, conditions)
        if level is Level.PATIENT:
            statement = plan(Level.STUDY, number, conditions, query.order, crowded)
            return _patients(connection, number, statement, residual, query)
        statement = plan(level, number, conditions, query.order, crowded)
        if residual:
            matching = _examined(connection, statement, level, residual)
            found = list(islice(matching, query.offset, query.offset + limit + 1))
        else:
            found = connection.execute(
                f"{statement.sql} LIMIT ? OFFSET ?", (*statement.values, limit + 1, query.offset)
            ).fetchall()
        rows = [as_json(level, query, row) for row in found[:limit]]
        if wants_counts(query.include):
            rows = [
                with_counts(connection, number, row[0], encoded)
                for row, encoded in zip(found, rows, strict=False)
            ]
    return Page(rows=rows, more=len(found) > limit)


def matchable(level: Level, match: Match) -> bool:
    """Tell whether ``search`` can match this key at ``level``, so that a door can warn instead."""
    if match.kind is MatchKind.UNIVERSAL or (len(match.path) == 1 and condition(match)):
        return True
    depth = DEPTH.get(level, 0)  # patients are found by their studies
    return any(match.path[0] in BY_LEVEL[upper] for upper in DEPTH if DEPTH[upper] <= depth)


def _split(level: Level, query: Query) -> tuple[Sequence[Condition], Sequence[Match]]:
    filters = [match for match in query.filters if match.kind is not MatchKind.UNIVERSAL]
    if query.study is not None:
        filters.append(Match((STUDY_UID,), MatchKind.SINGLE, (query.study,)))
    if query.series is not None:
        filters.append(Match((SERIES_UID,), MatchKind.SINGLE, (query.series,)))
    conditions: list[Condition] = []
    residual: list[Match] = []
    for match in filters:
        compiled = condition(match)
        if compiled is not None:
            conditions.append(compiled)
        elif matchable(level, match):
            residual.append(match)
        else:
            raise InvalidRequestError("a query key cannot be matched at this level")
    return conditions, residual


def _crowded(
    connection: Connection, organization: int, conditions: Sequence[Condition]
) -> Collection[int]:
    crowded = set()
    for part in conditions:
        statement = probe(organization, part)
        if statement is not None:
            row = connection.execute(statement.sql, statement.values).fetchone()
            if row is not None and row[0] >= MAX_SORTED:
                crowded.add(part.tag)
    return crowded


def _patients(
    connection: Connection,
    organization: int,
    statement: Statement,
    residual: Sequence[Match],
    query: Query,
) -> Page:
    """Return a page of the patients of the studies that ``statement`` finds."""
    limit = max(0, min(query.limit, MAX_ROWS))
    studies = _examined(connection, statement, Level.STUDY, residual)
    found = patients(connection, organization, studies, query.include)
    rows = list(islice(found, query.offset, query.offset + limit + 1))
    return Page(rows=rows[:limit], more=len(rows) > limit)


def _examined(
    connection: Connection, statement: Statement, level: Level, residual: Sequence[Match]
) -> Iterator[Row]:
    cursor = connection.execute(statement.sql, statement.values)
    for number, row in enumerate(cursor):
        if number == MAX_EXAMINED:
            raise InvalidRequestError("the query leaves too many candidates; add a key or a date")
        if matches(residual, everything(level, row)):
            yield row
