# SPDX-License-Identifier: Apache-2.0
"""What a QIDO-RS, C-FIND or portal query asks, parsed (PS3.4 Section C.2.2.2).

Invariant: a ``Match`` has been classified by the VR of its attribute, so that whoever runs it
never looks at raw key text again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final, Literal, Self

from radkeep.dicom.dictionary import keyword_of, vr_of
from radkeep.domain.errors import InvalidRequestError
from radkeep.domain.uid import Uid

MAX_KEY_LENGTH: Final = 4096  # characters of one matching value; UID lists fit
MAX_LISTED_UIDS: Final = 512  # in one UID list
MAX_PATH: Final = 4  # sequence levels in one key
MAX_OFFSET: Final = 1_000_000  # rows before a page; whoever goes beyond names more keys instead
DEFAULT_LIMIT: Final = 100  # rows of a page when the client names no limit

ALL: Final = "all"  # include every attribute that is known (includefield=all)

_WILD: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_RANGED: Final = {
    "DA": re.compile(r"\d{8}"),
    "TM": re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?"),
    "DT": re.compile(r"\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?"),
}


class Level(StrEnum):
    """The entity a query returns."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


class MatchKind(Enum):
    """How a key is compared (PS3.4 Section C.2.2.2)."""

    UNIVERSAL = auto()  # matches everything; asks that the attribute is returned
    SINGLE = auto()  # equality, case-sensitive; one value
    LIST = auto()  # any of the UIDs
    WILDCARD = auto()  # * any run, ? any one character; case-sensitive; one pattern
    RANGE = auto()  # two values, either may be "" (open)
    MOMENT = auto()  # date and time as one: first date and time, last date and time; "" is open
    NAME = auto()  # person name: case and accents ignored, * and ? allowed; one pattern


@dataclass(frozen=True, slots=True)
class Match:
    """One key of a query."""

    path: tuple[int, ...]  # tags from the outermost sequence to the attribute
    kind: MatchKind
    values: tuple[str, ...] = ()

    @property
    def tag(self) -> int:
        """Return the tag of the attribute itself."""
        return self.path[-1]

    @classmethod
    def parse(cls, path: Sequence[int], raw: str) -> Self:
        """Classify the key text ``raw`` for the attribute at ``path``.

        Raises:
            InvalidRequestError: too long, an unknown attribute, or not a date, time or range
                where the VR asks for one.
            InvalidUidError: the key of a UI attribute is no UID.
        """
        if not 1 <= len(path) <= MAX_PATH:
            raise InvalidRequestError("a query key names no attribute or nests too deep")
        if len(raw) > MAX_KEY_LENGTH:
            raise InvalidRequestError("a query key is too long")
        where, vr = tuple(path), vr_of(path[-1])
        text = raw.strip(" \0")
        if not text or (text.strip("*") == "" and vr != "UI"):
            return cls(where, MatchKind.UNIVERSAL)
        if vr == "UI":
            uids = tuple(Uid.parse(part) for part in re.split(r"[\\,]", text) if part)
            if not 1 <= len(uids) <= MAX_LISTED_UIDS:
                raise InvalidRequestError("a UID list is empty or too long")
            kind = MatchKind.SINGLE if len(uids) == 1 else MatchKind.LIST
            return cls(where, kind, uids)
        if vr in _RANGED:
            return cls(where, *_ranged(text, _RANGED[vr]))
        if vr == "PN":
            return cls(where, MatchKind.NAME, (text,))
        if vr in _WILD and ("*" in text or "?" in text):
            return cls(where, MatchKind.WILDCARD, (text,))
        if vr in {"SQ", "UN", "OB", "OW", "OD", "OF", "OL", "OV"}:
            raise InvalidRequestError("this attribute cannot be matched")
        return cls(where, MatchKind.SINGLE, (text,))


def _ranged(text: str, form: re.Pattern[str]) -> tuple[MatchKind, tuple[str, ...]]:
    plain = text.replace(":", "")  # ACR-NEMA and browser habit: 12:30:00
    if form.fullmatch(plain):
        return MatchKind.SINGLE, (plain,)
    for cut in [at for at, char in enumerate(plain) if char == "-"]:
        low, high = plain[:cut].strip(), plain[cut + 1 :].strip()
        ends = [end for end in (low, high) if end]
        if ends and all(form.fullmatch(end) for end in ends):
            return MatchKind.RANGE, (low, high)
    raise InvalidRequestError("a query key is not a date, a time or a range of them")


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key."""

    tag: int
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query as every door hands it to ``retrieval.search``."""

    filters: tuple[Match, ...] = ()
    include: tuple[int, ...] | Literal["all"] = ()  # attributes beyond the level's defaults
    limit: int = DEFAULT_LIMIT  # rows of this page
    offset: int = 0  # rows before this page
    order: tuple[Order, ...] = ()  # empty: the catalog's own stable order
    study: Uid | None = None  # confine to one study, from the resource path or a unique key
    series: Uid | None = None

    def keys(self) -> tuple[str, ...]:
        """Return the names of the attributes that filter, for the audit log; never values."""
        named = [_name(match.path) for match in self.filters if match.kind is not _UNIVERSAL]
        if self.study is not None:
            named.append("StudyInstanceUID")
        if self.series is not None:
            named.append("SeriesInstanceUID")
        return tuple(named)


_UNIVERSAL: Final = MatchKind.UNIVERSAL


def _name(path: tuple[int, ...]) -> str:
    return ".".join(keyword_of(tag) or f"{tag:08X}" for tag in path)
