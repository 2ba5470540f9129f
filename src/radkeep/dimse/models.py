# SPDX-License-Identifier: Apache-2.0
"""The information models of Query/Retrieve (PS3.4 Section C.6) and what a request asks of them.

Invariant: a request that leaves here names a level of its model and the unique keys that the
standard demands of it; a retrieval names nothing but unique keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from radkeep.dicom.commitment import STORAGE_COMMITMENT
from radkeep.dicom.identifiers import Path, keys
from radkeep.dicom.levels import PATIENT_ID, SERIES_UID, SOP_INSTANCE, STUDY_UID
from radkeep.dicom.query import Level
from radkeep.dicom.syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from radkeep.dimse.wire.commands import CommandField
from radkeep.domain.errors import InvalidRequestError, Kind

LEVEL: Final = 0x00080052  # Query/Retrieve Level
SYNTAXES: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)  # in which we read and write identifiers

_LEVELS: Final = MappingProxyType(
    {
        "PATIENT": Level.PATIENT,
        "STUDY": Level.STUDY,
        "SERIES": Level.SERIES,
        "IMAGE": Level.INSTANCE,
    }
)
LEVEL_NAMES: Final = MappingProxyType({level: name for name, level in _LEVELS.items()})
UNIQUE: Final = MappingProxyType(
    {
        Level.PATIENT: PATIENT_ID,
        Level.STUDY: STUDY_UID,
        Level.SERIES: SERIES_UID,
        Level.INSTANCE: SOP_INSTANCE,
    }
)
_PATIENT_ROOT: Final = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE)
_STUDY_ROOT: Final = _PATIENT_ROOT[1:]
_PATIENT_STUDY: Final = _PATIENT_ROOT[:2]  # retired, and still asked for
_ROOT: Final = "1.2.840.10008.5.1.4.1.2."

MODELS: Final[Mapping[str, tuple[CommandField, tuple[Level, ...]]]] = MappingProxyType(
    {
        f"{_ROOT}{number}.{operation}": (field, levels)
        for number, levels in ((1, _PATIENT_ROOT), (2, _STUDY_ROOT), (3, _PATIENT_STUDY))
        for operation, field in (
            (1, CommandField.C_FIND),
            (2, CommandField.C_MOVE),
            (3, CommandField.C_GET),
        )
    }
)


def field_of(sop_class: str) -> CommandField | None:
    """Return the request that a context of ``sop_class`` is for; None if it is not of these."""
    if sop_class == STORAGE_COMMITMENT:
        return CommandField.N_ACTION
    return MODELS[sop_class][0] if sop_class in MODELS else None


class IdentifierError(InvalidRequestError):
    """An identifier does not fit its SOP class (status A900)."""

    kind, code = Kind.INVALID, "identifier-mismatch"


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a request asks for: its level and the text of its keys."""

    level: Level
    levels: tuple[Level, ...]  # of the model, down to ``level``
    keys: Mapping[Path, str | None]

    @classmethod
    def read(cls, data: bytes, *, syntax: str, sop_class: str, relational: bool) -> Self:
        """Return what ``data`` asks of the model of ``sop_class``.

        ``relational`` frees the unique keys of higher levels (PS3.4 Section C.4.1.2.2).

        Raises:
            UndecodableError: ``data`` is no data set.
            IdentifierError: no level of this model, or a unique key of a higher level is missing
                or more than one value.
        """
        found = keys(data, syntax)
        _, model = MODELS[sop_class]
        level = _LEVELS.get((found.pop((LEVEL,), "") or "").strip().upper())
        if level is None or level not in model:
            raise IdentifierError("no Query/Retrieve Level of this information model")
        levels = model[: model.index(level) + 1]
        for upper in () if relational else levels[:-1]:
            value = (found.get((UNIQUE[upper],)) or "").strip()
            if not value:
                raise IdentifierError(f"the unique key of level {LEVEL_NAMES[upper]} is missing")
            if any(mark in value for mark in "*?\\"):
                raise IdentifierError(
                    f"the unique key of level {LEVEL_NAMES[upper]} is no single value"
                )
        return cls(level, levels, found)

    def unique(self, level: Level) -> tuple[str, ...]:
        """Return the values of the unique key of ``level``; several are a list of UIDs."""
        text = self.keys.get((UNIQUE[level],)) or ""
        return tuple(part for value in text.split("\\") if (part := value.strip()))


def agree(sop_class: str, asked: bytes) -> bytes | None:
    """Answer extended negotiation (PS3.4 Sections C.5.1.1.1, C.5.2.1.1 and C.5.3.1.1).

    Relational queries and retrievals, and combined date-time matching are agreed to; the
    dictionary of the other bytes is fuzzy names, time zones, enhanced multi-frame conversion.
    """
    known = MODELS.get(sop_class)
    if known is None:
        return None
    ours = b"\1\1\0\0\0" if known[0] == CommandField.C_FIND else b"\1\0"
    return bytes(a & b for a, b in zip(asked, ours, strict=False))
