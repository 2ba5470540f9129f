# SPDX-License-Identifier: Apache-2.0
"""One key of a query as a condition of SQL (PS3.4 Section C.2.2.2).

Invariant: a condition is true exactly where ``dicom.matching`` says that the key matches an
attribute of one value; several values where one belongs are compared as one text.
"""

import math
import re
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from radkeep.database.catalog.columns import COLUMNS, MAX_INTEGER, ROLES, Column, Form
from radkeep.dicom.levels import STUDY_DATE
from radkeep.dicom.matching import fold
from radkeep.dicom.query import Match, MatchKind

_SPECIAL: Final = re.compile(r"[*?]")
_LAST: Final = "\U0010ffff"  # no character: sorts after every text that begins alike
_TABLES: Final = MappingProxyType(  # conditions on rows that a study has several of
    {
        Form.NAME: (
            "EXISTS (SELECT 1 FROM study_name n"
            " WHERE n.study = y.id AND n.role = '{role}' AND {condition})"
        ),
        Form.MODALITY: (
            "EXISTS (SELECT 1 FROM study_modality m WHERE m.study = y.id AND {condition})"
        ),
    }
)
_INNER: Final = MappingProxyType({Form.NAME: "n.key", Form.MODALITY: "m.modality"})


class Shape(Enum):
    """What an index can do with a condition."""

    EQUAL = auto()  # one value, or one of a list
    PREFIX = auto()  # a range of text
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one attribute, and the values to bind."""

    tag: int
    column: Column
    template: str  # SQL in which {0} stands for what is compared
    values: tuple[object, ...] = ()
    shape: Shape = Shape.OTHER
    prefix: str = ""  # what the text must begin with

    @property
    def sql(self) -> str:
        """Return the condition as SQL on y, s and i."""
        table = _TABLES.get(self.column.form)
        if table is None:
            return self.on(self.column.name)
        inner = self.on(_INNER[self.column.form])
        return table.format(role=ROLES.get(self.tag, ""), condition=inner)

    def on(self, column: str) -> str:
        """Return the comparison as SQL on another column that holds the same."""
        return self.template.format(column)


def condition(match: Match) -> Condition | None:
    """Return the condition for ``match``; None when no column has its attribute."""
    column = COLUMNS.get(match.tag) if len(match.path) == 1 else None
    if column is None or (match.kind is MatchKind.MOMENT and match.tag != STUDY_DATE):
        return None
    template, values, shape, prefix = _compare(column, match)
    return Condition(match.tag, column, template, values, shape, prefix)


_Comparison = tuple[str, tuple[object, ...], Shape, str]


def _compare(column: Column, match: Match) -> _Comparison:
    values = match.values
    match match.kind:
        case MatchKind.UNIVERSAL:
            return "TRUE", (), Shape.OTHER, ""
        case MatchKind.RANGE:
            return _range(values[0], values[1])
        case MatchKind.LIST:
            return f"{{0}} IN ({', '.join('?' * len(values))})", values, Shape.EQUAL, ""
        case MatchKind.NAME | MatchKind.WILDCARD:
            return _pattern(fold(values[0]) if match.kind is MatchKind.NAME else values[0])
        case MatchKind.SINGLE:
            return _single(column, values[0])
        case MatchKind.MOMENT:
            return _moment(*values)


def _single(column: Column, value: str) -> _Comparison:
    if column.form is Form.TIME:
        return _range(value, value)
    if column.form is not Form.NUMBER:
        return "{0} = ?", (value,), Shape.EQUAL, value
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (number.is_integer() and abs(number) < MAX_INTEGER):
        return "FALSE", (), Shape.OTHER, ""
    return "{0} = ?", (int(number),), Shape.OTHER, ""


def _range(low: str, high: str) -> _Comparison:
    """Compare as text; what begins with the upper bound lies within it."""
    parts, values = ["{0} > ''"], []
    if low:
        parts.append("{0} >= ?")
        values.append(low)
    if high:
        parts.append("{0} < ?")
        values.append(high + _LAST)
    return " AND ".join(parts), tuple(values), Shape.OTHER, ""


def _moment(first_day: str, first_time: str, last_day: str, last_time: str) -> _Comparison:
    """Compare a study's date and time as one; only the study has columns for both."""
    parts, values = ["{0} > ''"], []
    if first_day:
        parts.append("({0} > ? OR ({0} = ? AND y.time >= ?))")
        values += [first_day, first_day, first_time]
    if last_day:
        parts.append("({0} < ? OR ({0} = ? AND y.time < ?))")
        values += [last_day, last_day, last_time + _LAST]
    return " AND ".join(parts), tuple(values), Shape.OTHER, ""


def _pattern(pattern: str) -> _Comparison:
    special = _SPECIAL.search(pattern)
    if special is None:
        return "{0} = ?", (pattern,), Shape.EQUAL, pattern
    prefix = pattern[: special.start()]
    glob = pattern.replace("[", "[[]")  # the one character that GLOB has beyond DICOM's
    if not prefix:
        return "{0} GLOB ?", (glob,), Shape.OTHER, ""
    within = "{0} >= ? AND {0} < ? AND {0} GLOB ?"
    return within, (prefix, prefix + _LAST, glob), Shape.PREFIX, prefix
