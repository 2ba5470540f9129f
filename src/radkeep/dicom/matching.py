# SPDX-License-Identifier: Apache-2.0
"""Attribute matching (PS3.4 Section C.2.2.2) on DICOM JSON objects: the reference.

Invariant: the catalog's SQL must select what this selects; its tests compare the two.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, assert_never

from radkeep.dicom.dictionary import vr_of
from radkeep.dicom.query import Match, MatchKind

Json = Mapping[str, Any]

TIMES: Final = {  # date -> the time that makes a moment of it
    0x00080020: 0x00080030,  # Study
    0x00080021: 0x00080031,  # Series
    0x00080022: 0x00080032,  # Acquisition
    0x00080023: 0x00080033,  # Content
    0x00100030: 0x00100032,  # Patient's Birth
    0x00400244: 0x00400245,  # Performed Procedure Step Start
}


def fold(name: str) -> str:
    """Return ``name`` without case, accents, doubled blanks and empty trailing components.

    The catalog keeps person names in this form beside the original. Wildcards survive.
    """
    if name.isascii():
        plain = name.lower()
    else:
        apart = unicodedata.normalize("NFKD", name)
        plain = "".join(char for char in apart if not unicodedata.combining(char)).casefold()
    return re.sub(r"\s+", " ", plain).rstrip("^ ").strip()


def matches(filters: Iterable[Match], entity: Json) -> bool:
    """Tell whether the DICOM JSON object ``entity`` fulfills all ``filters``.

    Keys of one sequence ask for one item that fulfills them all (PS3.4 Section C.2.2.2.6).
    """
    within: dict[int, list[Match]] = {}
    for match in filters:
        if len(match.path) > 1:
            if match.kind is not MatchKind.UNIVERSAL:
                below = Match(match.path[1:], match.kind, match.values)
                within.setdefault(match.path[0], []).append(below)
        elif not _fulfills(match, entity):
            return False
    return all(
        any(matches(below, item) for item in _items(entity, tag)) for tag, below in within.items()
    )


def _items(entity: Json, tag: int) -> Sequence[Json]:
    items: Sequence[Json] = entity.get(f"{tag:08X}", {}).get("Value", [])
    return items


def _fulfills(match: Match, entity: Json) -> bool:
    if match.kind is MatchKind.UNIVERSAL:
        return True
    if match.kind is MatchKind.MOMENT:
        return _meanwhile(match, entity)
    vr = vr_of(match.tag)
    return any(_accepts(match, value, vr) for value in _values(entity, match.tag))


def _values(entity: Json, tag: int) -> Sequence[object]:
    found: Sequence[object] = entity.get(f"{tag:08X}", {}).get("Value", [])
    return found


def _accepts(match: Match, value: object, vr: str) -> bool:
    match match.kind:
        case MatchKind.SINGLE:
            return _same(match.values[0], value, vr)
        case MatchKind.LIST:
            return str(value) in match.values
        case MatchKind.WILDCARD:
            return pattern(match.values[0]).fullmatch(str(value)) is not None
        case MatchKind.RANGE:
            return value is not None and _within(str(value), *match.values)
        case MatchKind.NAME:
            wanted = pattern(fold(match.values[0]))
            groups = value.values() if isinstance(value, Mapping) else ()
            return any(wanted.fullmatch(fold(str(group))) for group in groups)
        case MatchKind.UNIVERSAL | MatchKind.MOMENT:
            return True  # met before
        case _:
            assert_never(match.kind)


def _meanwhile(match: Match, entity: Json) -> bool:
    """Match the first date with the time that belongs to it (PS3.4 Section C.2.2.2.5.2)."""
    day, time = (
        str(next(iter(_values(entity, tag)), None) or "") for tag in (match.tag, TIMES[match.tag])
    )
    first_day, first_time, last_day, last_time = match.values
    if not day:
        return False
    if first_day and (day < first_day or (day == first_day and time < first_time)):
        return False
    return not last_day or day < last_day or (day == last_day and _within(time, "", last_time))


@lru_cache(maxsize=256)
def pattern(wildcard: str) -> re.Pattern[str]:
    """Return the expression for a value with ``*`` and ``?``.

    Each run between two ``*`` is looked for once, at its first place, and never again (an atomic
    group): a later place could not help, and trying them all takes a peer's stars to the power.
    """
    first, *rest = (
        "".join("." if c == "?" else re.escape(c) for c in part)
        for part in re.split(r"\*+", wildcard)
    )
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    found = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


def _same(wanted: str, value: object, vr: str) -> bool:
    if isinstance(value, (int, float)):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    if vr == "TM":
        return value is not None and _within(str(value), wanted, wanted)
    return str(value) == wanted


def _within(value: str, low: str, high: str) -> bool:
    """Compare dates and times as text: a bound of lower precision covers what it begins."""
    return (not low or value >= low) and (not high or value[: len(high)] <= high)
