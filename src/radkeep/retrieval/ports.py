# SPDX-License-Identifier: Apache-2.0
"""What the way out needs from catalog, archive and sandbox, and nothing more.

Invariant: whatever satisfies a port may be replaced without a change here; nothing in this room
knows a database, a volume or a codec.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from radkeep.dicom.image import Image, Presentation
from radkeep.dicom.looks import Look, Picture
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


Frame = tuple[int, Iterator[bytes]]  # length, and the bytes, which are taken once


class Decoder(Protocol):
    """Where compressed pixels and documents are looked into: never in this process. Thread-safe.

    ``compartment`` names whose bytes they are: what decodes those of one never sees another's.
    Each call raises UnavailableError when decoding is not possible now or takes too long,
    TooLargeError beyond a limit, and other errors of its own when the bytes are damaged, or of a
    kind that nothing decodes.
    """

    def native(self, image: Image, frame: Frame, compartment: str) -> tuple[bytes, str]:
        """Return a frame's native pixels and the photometric interpretation that they have."""
        ...

    def render(
        self, image: Image, frame: Frame, shown: Presentation, look: Look, compartment: str
    ) -> Picture:
        """Return a frame as a picture."""
        ...

    def page(self, document: Frame, number: int, look: Look, compartment: str) -> Picture:
        """Return a page of a PDF document, counted from 1, as a picture."""
        ...


class Frames(Protocol):
    """The parts of an instance that decoding needs."""

    @property
    def compartment(self) -> str:
        """Return whose bytes these are."""
        ...

    def frame(self, number: int) -> Frame:
        """Return a frame as stored, counted from 1."""
        ...

    def peek(self, start: int, stop: int) -> bytes:
        """Return a range of the body, or of what a deflated data set inflates to."""
        ...

    def bulk(self, path: str) -> Frame:
        """Return the value at a path of ``dicom.bulk``."""
        ...
