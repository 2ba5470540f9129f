# SPDX-License-Identifier: Apache-2.0
"""What one process remembers of the rows it wrote, so that a known series costs one insert.

Invariant: only what is committed is remembered, and a remembered number never comes to mean
another row (the tables use AUTOINCREMENT); forgetting costs a query and is always right.
"""

from dataclasses import dataclass, field
from typing import Final

from radkeep.dicom import levels
from radkeep.dicom.facts import Facts
from radkeep.dicom.query import Level
from radkeep.domain.uid import Uid

MAX_STUDIES: Final = 2_000  # remembered at once, about 2 KiB each with their series

Values = tuple[bytes | None, ...]  # of all attributes of a level, as received
_CHARSET: Final = (levels.SPECIFIC_CHARACTER_SET,)
_STUDY: Final = (*_CHARSET, *levels.BY_LEVEL[Level.STUDY])
_SERIES: Final = (*_CHARSET, *levels.BY_LEVEL[Level.SERIES])


def study_values(facts: Facts) -> Values:
    """Return what decides the study's attributes, undecoded: quick to compare."""
    return tuple(map(facts.raw.get, _STUDY))


def series_values(facts: Facts) -> Values:
    """Return what decides the series' attributes, undecoded."""
    return tuple(map(facts.raw.get, _SERIES))


@dataclass(slots=True)
class KnownEntity:
    """A study or series row."""

    id: int
    latest: str  # merging.Merged.latest when the row was last read
    seen: Values  # of an arrival whose attributes are all in the row


@dataclass(slots=True)
class KnownStudy(KnownEntity):
    """A study row and its series."""

    organization: int
    series: dict[Uid, KnownEntity] = field(default_factory=dict)


class Known:
    """The memory of one writer. Not thread-safe: use it inside ``Database.write`` only."""

    def __init__(self) -> None:
        self.organizations: dict[str, int] = {}
        self.volumes: dict[str, int] = {}
        self.studies: dict[tuple[str, Uid], KnownStudy] = {}

    def trim(self) -> None:
        """Forget the studies that were first met the longest ago, when they are too many."""
        while len(self.studies) > MAX_STUDIES:
            del self.studies[next(iter(self.studies))]

    def clear(self) -> None:
        """Forget everything, after a transaction that did not commit."""
        self.organizations.clear()
        self.volumes.clear()
        self.studies.clear()
