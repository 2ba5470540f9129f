# SPDX-License-Identifier: Apache-2.0
"""C-FIND (PS3.4 Section C.4.1): a query in, one pending response for each match out.

Invariant: a key that we cannot match is left out of the query and every answer says so (FF01);
whatever else was asked narrows what is found.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from radkeep.dicom.dictionary import vr_of
from radkeep.dicom.encode import Element
from radkeep.dicom.identifiers import Path, Tags, answer
from radkeep.dicom.levels import BY_LEVEL, MODALITIES_IN_STUDY, SPECIFIC_CHARACTER_SET
from radkeep.dicom.matching import TIMES
from radkeep.dicom.query import Level, Match, MatchKind, Query
from radkeep.dicom.status import OUT_OF_RESOURCES, SUCCESS
from radkeep.dicom.syntaxes import IMPLICIT_LITTLE
from radkeep.dimse.courier import Courier
from radkeep.dimse.models import LEVEL, LEVEL_NAMES, Identifier
from radkeep.dimse.ports import Finder

PENDING: Final = 0xFF00
PENDING_WITHOUT_SOME: Final = 0xFF01  # optional keys were not supported
CANCELLED: Final = 0xFE00

_RETRIEVE_AE: Final = 0x00080054
_AVAILABILITY: Final = 0x00080056
_CONTROL: Final = frozenset(
    {SPECIFIC_CHARACTER_SET, LEVEL, 0x00080053, _RETRIEVE_AE, _AVAILABILITY}
)
_COUNTED: Final[Mapping[Level, tuple[int, ...]]] = {  # what the catalog counts, by level
    Level.PATIENT: (0x00201200, 0x00201202, 0x00201204),
    Level.STUDY: (MODALITIES_IN_STUDY, 0x00201206, 0x00201208),
    Level.SERIES: (0x00201209,),
    Level.INSTANCE: (),
}
_NOT_COUNTED: Final = frozenset(_COUNTED[Level.PATIENT])  # known of each row, matched by no query
_UPWARD: Final = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE)
_decode: Final = msgspec.json.Decoder(dict[str, dict[str, object]]).decode


class FindScp:
    """Answers queries."""

    def __init__(self, finder: Finder, *, cap: int) -> None:
        """Ask ``finder``; return at most ``cap`` matches of one query."""
        self._finder, self._cap = finder, cap

    def run(self, courier: Courier) -> None:
        """Answer one C-FIND-RQ.

        Raises:
            RadkeepError: refused, and not answered yet.
        """
        request = courier.request
        asked = Identifier.read(
            request.identifier,
            syntax=request.context.transfer_syntax,
            sop_class=request.context.abstract_syntax,
            relational=request.relational,
        )
        filters = tuple(_filters(asked.keys, combined=request.combined))
        matched = [match for match in filters if self._matched(asked.level, match)]
        supported = _supported(asked.level)
        tags = [path[0] for path in asked.keys if len(path) == 1 and path[0] not in _CONTROL]
        returned = [tag for tag in tags if tag in supported]
        shown = _shown(asked.keys, returned)
        whole = (
            len(matched) == len(filters)
            and len(returned) == len(tags)
            and None not in asked.keys.values()
        )
        page = self._finder.run(
            request.actor,
            asked.level,
            Query(filters=tuple(matched), include=tuple(returned), limit=self._cap),
            protocol="c-find",
        )
        fixed: list[Element] = [
            (LEVEL, "CS", LEVEL_NAMES[asked.level]),
            (_RETRIEVE_AE, "AE", request.called),
            (_AVAILABILITY, "CS", "ONLINE"),
        ]
        explicit = request.context.transfer_syntax != IMPLICIT_LITTLE
        spoken = asked.keys.get((SPECIFIC_CHARACTER_SET,)) or ""
        status = PENDING if whole else PENDING_WITHOUT_SOME
        for row in page.rows:
            if courier.cancelled:
                courier.respond(CANCELLED)
                return
            courier.respond(
                status,
                identifier=answer(_decode(row), shown, fixed, explicit=explicit, charset=spoken),
            )
        if page.more:
            courier.respond(OUT_OF_RESOURCES, comment=f"more than {self._cap} matches: ask closer")
        else:
            courier.respond(SUCCESS)

    def _matched(self, level: Level, match: Match) -> bool:
        return match.tag not in _NOT_COUNTED and self._finder.matchable(level, match)


def _supported(level: Level) -> frozenset[int]:
    uppers = _UPWARD[: _UPWARD.index(level) + 1]
    # In the study root a study also tells of its patient (PS3.4 Table C.6-5).
    return frozenset(tag for upper in uppers for tag in (*BY_LEVEL[upper], *_COUNTED[upper]))


def _shown(keys: Mapping[Path, str | None], returned: Iterable[int]) -> Tags:
    """Return what answers show: of the items of a sequence what the query named in its item."""
    shown: dict[int, Any] = {tag: {} for tag in returned}
    for path in keys:
        if path[0] in shown:
            level = shown
            for tag in path:
                level = level.setdefault(tag, {})
    return shown


def _filters(keys: Mapping[Path, str | None], *, combined: bool) -> Iterator[Match]:
    """Yield the keys that narrow the query."""
    found = {
        path: match
        for path, text in keys.items()
        if path[0] not in _CONTROL
        and text
        and (match := _match(path, text)).kind is not MatchKind.UNIVERSAL
    }
    for date, time in TIMES.items() if combined else ():
        day, hour = found.get((date,)), found.get((time,))
        if day is not None and hour is not None:
            del found[time,]
            found[date,] = _moment(day, hour)
    yield from found.values()


def _match(path: Path, text: str) -> Match:
    vr = vr_of(path[-1])
    if vr == "UI" and not text.strip(" *"):
        return Match(path, MatchKind.UNIVERSAL)  # no key has wildcards here, and clients send it
    if vr == "CS" and "\\" in text:  # several modalities, as many clients ask for
        values = tuple(part.strip() for part in text.split("\\") if part.strip())
        if values and not any(mark in text for mark in "*?"):
            return Match(path, MatchKind.LIST, values)
    return Match.parse(path, text)


def _moment(day: Match, time: Match) -> Match:
    """Return the range from the first day's first time to the last day's last."""
    (first_day, last_day), (first, last) = (
        match.values if match.kind is MatchKind.RANGE else match.values * 2 for match in (day, time)
    )
    return Match(day.path, MatchKind.MOMENT, (first_day, first, last_day, last))
