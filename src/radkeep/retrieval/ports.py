# SPDX-License-Identifier: Apache-2.0
"""What the way out needs from catalog, archive and registry, and nothing more.

Invariant: every call is confined to one organization, save those of the overlay, which serves all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from radkeep.dicom.query import Level, Match, Query
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """What the catalog knows of one instance."""

    study: Uid
    series: Uid
    sop_instance: Uid
    sop_class: Uid
    transfer_syntax: str
    number: int | None  # Instance Number (0020,0013)
    frames: int
    patient: str  # Patient ID
    digest: bytes  # SHA-256 of the data set as received
    data_set_length: int  # bytes
    placement: Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of search results: DICOM JSON objects (PS3.18 Annex F), each encoded."""

    rows: Sequence[bytes]
    more: bool  # rows remain beyond this page


class CatalogReader(Protocol):
    """The catalog as the way out sees it. Every call is confined to one organization."""

    def search(self, organization: str, level: Level, query: Query) -> Page:
        """Return the entities that match, ordered so that paging is stable."""
        ...

    def matchable(self, level: Level, match: Match) -> bool:
        """Tell whether ``search`` can match this key at ``level``; it refuses those it cannot."""
        ...

    def instances(
        self,
        organization: str,
        study: Uid,
        series: Uid | None = None,
        sop_instance: Uid | None = None,
    ) -> Sequence[StoredInstance]:
        """Return the instances of a study, series or the one instance, in Instance Number order."""
        ...


class RecordReader(Protocol):
    """The archive as the way out sees it. Every byte is authenticated before it is returned."""

    def head(self, placement: Placement) -> bytes:
        """Return the head of a record as it was given to ``finish`` (see ``dicom.head``).

        Raises:
            IntegrityError: the record is damaged.
        """
        ...

    def body(self, placement: Placement, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start`` to ``stop`` of what was received, in pieces of at most 1 MiB.

        Raises:
            IntegrityError: a chunk is damaged; nothing of it was yielded.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What somebody deleted at once. Its instances are hidden while it is not undone."""

    id: int
    organization: str
    study: Uid
    series: Uid | None = None  # None: the whole study
    sop_instance: Uid | None = None  # None: the whole series or study
    instances: int  # how many were hidden
    reason: str
    deleted: datetime
    deleted_by: str
    undone: datetime | None = None
    undone_by: str = ""


HiddenChange = tuple[str, str, bool]  # organization, SOP Instance UID, whether it is deleted now


class Changes(Protocol):
    """What changed in the registry's deletions."""

    def __call__(self, since: int, /) -> tuple[int, Sequence[HiddenChange]]:
        """Return the version now, and every instance that a change after ``since`` concerned."""
        ...


class DeletionStore(Protocol):
    """The registry's deletions; none is ever forgotten."""

    def version(self) -> int:
        """Return a number that grows with every change."""
        ...

    def changes(self, since: int) -> tuple[int, Sequence[HiddenChange]]:
        """Return the version, and what changed after ``since``."""
        ...

    def add(self, deletion: Deletion, instances: Sequence[Uid]) -> Deletion:
        """Keep a deletion of ``instances`` and return it with its id."""
        ...

    def undo(self, deletion: Deletion, *, at: datetime, by: str) -> bool:
        """Mark as undone; False if it is already."""
        ...

    def one(self, organization: str, number: int) -> Deletion | None:
        """Return the deletion with this id, if it is of ``organization``."""
        ...

    def of(self, organization: str, *, before: int | None, limit: int) -> Sequence[Deletion]:
        """Return deletions of ``organization``, the latest first, with ids below ``before``."""
        ...


class OverlaidCatalog(CatalogReader, Protocol):
    """The catalog as far as it hides what the registry says is deleted."""

    def overlaid(self) -> int:
        """Return the version of the registry's deletions that it shows."""
        ...

    def overlay(self, changes: Changes, *, anew: bool = False) -> int:
        """Show what changed since, or everything ``anew``; return the version that it shows."""
        ...
