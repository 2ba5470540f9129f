# SPDX-License-Identifier: Apache-2.0
"""How a search walks the tables, decided here and not by a planner's guess.

Invariant: rows come newest first, in an order that paging can rely on. A key that few studies
share decides the index, and those few are sorted; a key that many share is met soon on a walk by
date, which stops when the page is full.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from radkeep.database.catalog.columns import COLUMNS, DEPTH, ROLES
from radkeep.database.catalog.where import Condition, Shape
from radkeep.dicom.levels import (
    ACCESSION_NUMBER,
    MODALITIES_IN_STUDY,
    MODALITY,
    PATIENT_ID,
    PATIENT_NAME,
    REFERRING_PHYSICIAN,
    SERIES_UID,
    SOP_INSTANCE,
    STUDY_DATE,
    STUDY_UID,
)
from radkeep.dicom.query import Level, Order
from radkeep.domain.errors import InvalidRequestError, UnsupportedError

MAX_SORTED: Final = 1_000  # studies that share a beginning; more are walked by date instead
MAX_ORDER: Final = 8  # sort keys

_SELECT: Final = MappingProxyType(
    {
        Level.STUDY: "y.uid, y.modalities, y.series, y.instances, y.attributes",
        Level.SERIES: (
            "y.uid, y.modalities, y.series, y.instances, y.attributes,"
            " s.uid, s.instances, s.attributes"
        ),
        Level.INSTANCE: (
            "y.uid, y.modalities, y.series, y.instances, y.attributes,"
            " s.uid, s.instances, s.attributes, i.uid, i.sop_class, i.attributes, i.transfer_syntax"
        ),
    }
)
_SERIES: Final = " CROSS JOIN series s INDEXED BY series_study ON s.study = y.id"
_INSTANCE: Final = " CROSS JOIN instance i INDEXED BY instance_series ON i.series = s.id"
_SHOWN: Final = MappingProxyType(  # what is deleted is not found
    {
        Level.STUDY: ("y.hidden = 0",),
        Level.SERIES: ("y.hidden = 0", "s.instances > 0"),
        Level.INSTANCE: ("i.deleted = 0",),
    }
)
_STUDY_OF_SERIES: Final = " CROSS JOIN study y ON y.id = s.study"
_SERIES_OF_INSTANCE: Final = " CROSS JOIN series s ON s.id = i.series"
_DOWN: Final = MappingProxyType(  # from the study to the level asked for
    {Level.STUDY: "", Level.SERIES: _SERIES, Level.INSTANCE: _SERIES + _INSTANCE}
)
_WITHIN: Final = MappingProxyType(  # order of the rows of one study
    {
        Level.STUDY: "",
        Level.SERIES: ", s.number, s.uid",
        Level.INSTANCE: ", s.number, s.uid, i.number, i.uid",
    }
)
_FIRST_NAME: Final = (
    "NOT EXISTS (SELECT 1 FROM study_name e WHERE e.study = d.study AND e.role = d.role"
    " AND e.key < d.key AND {condition})"
)
_LETTERS: Final = 2  # that study_name_two keeps together
_RARE: Final = (  # by how few studies share a value
    STUDY_UID,
    ACCESSION_NUMBER,
    PATIENT_ID,
    0x00200010,  # Study ID
    PATIENT_NAME,
    0x00100030,  # Patient's Birth Date
    REFERRING_PHYSICIAN,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT, without LIMIT."""

    sql: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """What stands after FROM, and what it needs in WHERE and ORDER BY."""

    tables: str
    owner: str = "y"
    date: str = "y.date"
    id: str = "y.id"
    clauses: tuple[str, ...] = ()
    values: tuple[object, ...] = ()
    met: Condition | None = None  # the clauses see to it


def probe(organization: int, part: Condition) -> Statement | None:
    """Return the statement that counts, to MAX_SORTED, the studies that share a beginning.

    None for a condition whose beginning nobody shares or no index knows.
    """
    if part.shape is not Shape.PREFIX:
        return None
    if part.tag in ROLES:
        rows = "study_name d WHERE d.organization = ? AND d.role = ?"
        values: tuple[object, ...] = (organization, ROLES[part.tag], *part.values)
        clause = part.on("d.key")
    elif part.column.index and part.column.level is Level.STUDY:
        rows = f"study y INDEXED BY {part.column.index} WHERE y.organization = ?"
        values = (organization, *part.values)
        clause = part.sql
    else:
        return None
    inner = f"SELECT 1 FROM {rows} AND {clause} LIMIT {MAX_SORTED}"  # noqa: S608 - fixed texts
    return Statement(f"SELECT count(*) FROM ({inner})", values)  # noqa: S608 - fixed texts


def plan(
    level: Level,
    organization: int,
    conditions: Sequence[Condition],
    order: Sequence[Order] = (),
    crowded: Collection[int] = (),
) -> Statement:
    """Return the statement that finds what meets all ``conditions`` at ``level``.

    Conditions on a lower level ask for one series or instance that meets them all. ``crowded``
    are the tags whose ``probe`` counted MAX_SORTED.

    Raises:
        InvalidRequestError: ``order`` names an attribute that has no column at ``level``.
        UnsupportedError: ``level`` is not study, series or instance.
    """
    if level not in DEPTH:
        raise UnsupportedError("the catalog searches studies, series and instances")
    source = _source(level, conditions, crowded)
    rest = [part for part in conditions if part is not source.met]
    here = [part for part in rest if DEPTH[part.column.level] <= DEPTH[level]]
    below = [part for part in rest if DEPTH[part.column.level] > DEPTH[level]]
    clauses = [f"{source.owner}.organization = ?", *source.clauses, *(part.sql for part in here)]
    clauses += _SHOWN[level]
    if below:
        clauses.append(_exists(level, below))
    values = [value for part in (*here, *below) for value in part.values]
    terms = f"{_sorted(level, order)}{source.date} DESC, {source.id} DESC{_WITHIN[level]}"
    return Statement(
        f"SELECT {_SELECT[level]} FROM {source.tables}"  # noqa: S608 - every part is a fixed text
        f" WHERE {' AND '.join(clauses)} ORDER BY {terms}",
        (organization, *source.values, *values),
    )


def _source(level: Level, conditions: Sequence[Condition], crowded: Collection[int]) -> _Source:
    usable = {
        part.tag: part
        for part in conditions
        if part.shape is Shape.EQUAL or (part.shape is Shape.PREFIX and part.tag not in crowded)
    }
    if level is Level.INSTANCE and SOP_INSTANCE in usable:
        up = _SERIES_OF_INSTANCE + _STUDY_OF_SERIES
        return _Source(f"instance i INDEXED BY instance_uid{up}", owner="i")
    if level is not Level.STUDY and SERIES_UID in usable:
        down = _INSTANCE if level is Level.INSTANCE else ""
        return _Source(f"series s INDEXED BY series_uid{_STUDY_OF_SERIES}{down}", owner="s")
    return _by_study(level, usable, conditions)


def _by_study(
    level: Level, usable: Mapping[int, Condition], conditions: Sequence[Condition]
) -> _Source:
    for tag in _RARE:
        if tag in ROLES and tag in usable:
            return _by_name(level, usable[tag], conditions, index="")
        if tag in usable:
            return _Source(f"study y INDEXED BY {COLUMNS[tag].index}{_DOWN[level]}")
    for tag in (MODALITIES_IN_STUDY, MODALITY):
        if tag in usable and usable[tag].shape is Shape.EQUAL and usable[tag].prefix:  # no list
            return _by_modality(level, usable[tag], conditions)
    for part in conditions:
        if part.tag in ROLES and part.values:
            index = "study_name_two" if len(part.prefix) >= _LETTERS else "study_name_date"
            return _by_name(level, part, conditions, index=index)
    return _Source(f"study y INDEXED BY study_date{_DOWN[level]}")


def _by_modality(level: Level, modality: Condition, conditions: Sequence[Condition]) -> _Source:
    dates = [part for part in conditions if part.tag == STUDY_DATE]
    return _Source(
        f"study_modality d CROSS JOIN study y ON y.id = d.study{_DOWN[level]}",
        owner="d",
        date="d.date",
        id="d.study",
        clauses=("d.modality = ?", *(part.on("d.date") for part in dates)),
        values=(modality.prefix, *(value for part in dates for value in part.values)),
    )


def _by_name(
    level: Level, name: Condition, conditions: Sequence[Condition], *, index: str
) -> _Source:
    """Walk the names; a study is met at the first of its names that matches."""
    dates = [part for part in conditions if part.tag == STUDY_DATE]
    letters = index == "study_name_two"
    # A plus sign keeps the planner from walking by date when the names are few.
    date = "d.date" if index or name.shape is Shape.EQUAL else "+d.date"
    return _Source(
        f"study_name d{f' INDEXED BY {index}' if index else ''}"
        f" CROSS JOIN study y ON y.id = d.study{_DOWN[level]}",
        owner="d",
        date="d.date",
        id="d.study",
        clauses=(
            "d.role = ?",
            *((f"substr(d.key, 1, {_LETTERS}) = ?",) if letters else ()),
            name.on("d.key"),
            _FIRST_NAME.format(condition=name.on("e.key")),
            *(part.on(date) for part in dates),
        ),
        values=(
            ROLES[name.tag],
            *((name.prefix[:_LETTERS],) if letters else ()),
            *name.values,
            *name.values,
            *(value for part in dates for value in part.values),
        ),
        met=name,
    )


def _exists(level: Level, below: Sequence[Condition]) -> str:
    tables, link = "instance i", "i.series = s.id"
    if level is Level.STUDY:
        tables, link = "series s", "s.study = y.id"
        if any(part.column.level is Level.INSTANCE for part in below):
            tables += " JOIN instance i ON i.series = s.id"
    if any(part.column.level is Level.INSTANCE for part in below):
        link += " AND i.deleted = 0"
    else:
        link += " AND s.instances > 0"
    clauses = " AND ".join(part.sql for part in below)
    return f"EXISTS (SELECT 1 FROM {tables} WHERE {link} AND {clauses})"  # noqa: S608 - fixed texts


def _sorted(level: Level, order: Sequence[Order]) -> str:
    if len(order) > MAX_ORDER:
        raise InvalidRequestError("too many sort keys")
    terms = ""
    for key in order:
        column = COLUMNS.get(key.tag)
        if column is None or DEPTH[column.level] > DEPTH[level] or not column.name:
            raise InvalidRequestError("results cannot be sorted by this attribute")
        terms += f"{column.name} {'DESC' if key.descending else 'ASC'}, "
    return terms
