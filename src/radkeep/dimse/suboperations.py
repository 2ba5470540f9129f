# SPDX-License-Identifier: Apache-2.0
"""The C-STORE sub-operations of C-GET and C-MOVE: what goes in which context, and the count.

Invariant: completed, failed, warned and remaining always add up to what was found; what cannot be
sent as it is stored, or rewritten without loss, is a failure and no more than that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import structlog

from radkeep.dicom.encode import encode
from radkeep.dicom.native import DECODABLE
from radkeep.dicom.query import Level
from radkeep.dicom.recode import SOURCES, TARGETS, lookahead
from radkeep.dicom.status import SUCCESS
from radkeep.dicom.syntaxes import IMPLICIT_LITTLE
from radkeep.dimse.courier import Request
from radkeep.dimse.models import Identifier, IdentifierError
from radkeep.dimse.wire.commands import Element
from radkeep.dimse.wire.negotiation import Context
from radkeep.domain.errors import RadkeepError
from radkeep.domain.uid import Uid
from radkeep.retrieval.retrieved import Retrieved
from radkeep.retrieval.selection import Wanted

PENDING: Final = 0xFF00
CANCELLED: Final = 0xFE00
SOME_FAILED: Final = 0xB000  # PS3.4 Tables C.4-2 and C.4-3
ALL_FAILED: Final = 0xA702
WARNINGS: Final = frozenset({0xB000, 0xB006, 0xB007, 0x0107, 0x0116})  # of a C-STORE: stored
_FAILED_LIST: Final = 0x00080058  # Failed SOP Instance UID List
_MAX_FAILED: Final = 900  # UIDs of 65 bytes fit a value of VR UI
_MAX_COUNT: Final = 0xFFFF
_HELD: Final = 8 << 20  # bytes read before the command goes: damage up to there breaks nothing

_log: Final = structlog.get_logger()

Piece = tuple[bytes, bool]  # with whether it is the last


@dataclass(frozen=True, slots=True)
class Parcel:
    """One instance ready to be sent."""

    context: Context
    sop_class: str
    sop_instance: str
    pieces: Iterator[Piece]


@dataclass(slots=True)
class Tally:
    """The counts of PS3.7 Sections 9.1.3.1 and 9.1.4.1."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warned: int = 0
    failures: list[str] = field(default_factory=list)

    def count(self, sop_instance: str, status: int | None) -> None:
        """Count one sub-operation by the status of its C-STORE, None if there was none."""
        self.remaining -= 1
        if status == SUCCESS:
            self.completed += 1
        elif status in WARNINGS:
            self.warned += 1
        else:
            self.failed += 1
            self.failures.append(sop_instance)

    def numbers(self, *, remaining: bool) -> Mapping[int, int]:
        """Return the counts as command elements; final responses have no remaining ones."""
        counts = {
            Element.COMPLETED: self.completed,
            Element.FAILED: self.failed,
            Element.WARNING: self.warned,
        }
        if remaining:
            counts[Element.REMAINING] = self.remaining
        return {element: min(number, _MAX_COUNT) for element, number in counts.items()}

    def status(self, *, cancelled: bool) -> int:
        """Return the status of the final response."""
        if cancelled and self.remaining:
            return CANCELLED
        if not self.failed and not self.warned:
            return SUCCESS
        return SOME_FAILED if self.completed or self.warned else ALL_FAILED

    def identifier(self, context: Context) -> bytes:
        """Return the identifier of the final response: who failed; empty if nobody did."""
        if not self.failures:
            return b""
        return encode(
            [(_FAILED_LIST, "UI", self.failures[:_MAX_FAILED])],
            explicit=context.transfer_syntax != IMPLICIT_LITTLE,
        )


class Routes:
    """The contexts in which instances can go."""

    def __init__(self, contexts: Iterable[Context]) -> None:
        self._contexts: dict[str, dict[str, Context]] = {}
        for context in contexts:
            syntaxes = self._contexts.setdefault(context.abstract_syntax, {})
            syntaxes.setdefault(context.transfer_syntax, context)

    def parcel(self, instance: Retrieved) -> Parcel | None:
        """Return ``instance`` for the context that fits it best, None if none does."""
        stored = instance.stored
        offered = self._contexts.get(stored.sop_class, {})
        context = offered.get(stored.transfer_syntax)
        try:
            if context is not None:
                pieces = instance.data_set()
            elif stored.transfer_syntax in SOURCES | DECODABLE and (
                target := next((syntax for syntax in offered if syntax in TARGETS), None)
            ):
                context = offered[target]
                pieces = instance.data_set_in(target)
            else:
                return None
            return Parcel(context, stored.sop_class, stored.sop_instance, _held(lookahead(pieces)))
        except RadkeepError as error:
            _log.warning("dimse.unsendable", code=error.code)
            return None


def _held(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Read the first pieces now, so that damage there shows before anything is sent."""
    held: list[Piece] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece[0])
        if length >= _HELD:
            break
    return chain(held, pieces)


def wanted(request: Request) -> Wanted:
    """Return what a C-GET or C-MOVE request names.

    Raises:
        UndecodableError, IdentifierError: it names nothing, or not in a form of its model.
        InvalidUidError: a UID is none.
    """
    asked = Identifier.read(
        request.identifier,
        syntax=request.context.transfer_syntax,
        sop_class=request.context.abstract_syntax,
        relational=request.relational,
    )
    named = asked.unique(asked.level)
    if not named or any("*" in name or "?" in name for name in named):
        raise IdentifierError("the unique key of the level is missing or no value")
    if asked.level is Level.PATIENT and len(named) > 1:
        raise IdentifierError("one patient at a time")

    def uids(level: Level) -> tuple[Uid, ...]:
        return tuple(map(Uid.parse, asked.unique(level))) if level in asked.levels else ()

    return Wanted(
        level=asked.level,
        patients=asked.unique(Level.PATIENT)[:1] if Level.PATIENT in asked.levels else (),
        studies=uids(Level.STUDY),
        series=uids(Level.SERIES),
        instances=uids(Level.INSTANCE),
    )
