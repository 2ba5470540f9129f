# SPDX-License-Identifier: Apache-2.0
"""What the way in needs from archive and catalog, and nothing more.

Invariant: an answer that these promise is given after what it says is durable.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from radkeep.dicom.facts import Facts
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid


class Verdict(Enum):
    """What became of one received instance."""

    STORED = auto()  # new
    SAME = auto()  # these bytes, or equal elements, are stored already: success
    DELETED = auto()  # SAME, but what is stored was deleted: refused until that is undone
    CONFLICT = auto()  # other content under this SOP Instance UID is stored: quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One received instance on its way into the catalog."""

    organization: str
    facts: Facts
    digest: bytes  # SHA-256 of the data set bytes as received: no preamble, no file meta
    data_set_length: int  # bytes
    placement: Placement
    source: str  # who sent it: AE title, token name or e-mail address
    received: str  # UTC, ISO 8601
    transfer: str  # id of the transfer (association and study) it came with


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """The catalog's answer for an arrival whose SOP Instance UID is taken by another digest."""

    original: Placement
    transfer_syntax: str
    data_set_length: int
    deleted: bool = False  # the original is; an equal arrival is refused


class CatalogWriter(Protocol):
    """The catalog's one transaction for a group of records of one volume."""

    def commit(
        self,
        volume: str,
        position: int,
        arrivals: Sequence[Arrival],
        *,
        durable: Callable[[], None] | None = None,
    ) -> Sequence[Verdict | Clash]:
        """Insert ``arrivals`` and set the replay position of ``volume`` to ``position``.

        Equal digests are SAME; a UID that is taken by another digest is a Clash, to be judged and
        told by ``judged``. One BEGIN IMMEDIATE transaction, at most 5 s wait.

        ``durable`` is called inside the transaction, once the rows are entered, and returns when
        the records are durable: the disk works while rows are prepared, and nobody sees a row
        before that. What it raises undoes the transaction. It may be called again.

        Raises:
            UnavailableError: the transaction could not be had in time; nothing was inserted.
        """
        ...

    def judged(
        self, volume: str, position: int, rulings: Sequence[tuple[Arrival, Verdict]]
    ) -> None:
        """Enter the quarantine rows of CONFLICT rulings and the new replay position."""
        ...


class OpenRecord(Protocol):
    """A record being received: its bytes are sealed as they come."""

    def write(self, data: memoryview) -> None:
        """Seal more of the body. Beyond SMALL_OBJECT_BYTES the record gets a file of its own.

        Raises:
            ArchiveFullError: no room.
        """
        ...

    def finish(self, head: bytes, describe: Callable[[Placement], Arrival]) -> Future[Verdict]:
        """Seal ``head`` and hand the record to the writer.

        The future is done after the record is durable and in the catalog. Its errors:
        ArchiveFullError, UnavailableError, IntegrityError (a failed sync closes the volume).
        """
        ...

    def abandon(self) -> None:
        """Forget the record; nothing of it will be readable. May be called at any time."""
        ...


class Recorder(Protocol):
    """The archive as the way in sees it."""

    def open(self, organization: str, study: Uid) -> OpenRecord:
        """Begin a record under a key of ``study`` that is durable in the keyring.

        Raises:
            UnavailableError: no durable key could be had.
            ArchiveFullError: no room for more records.
        """
        ...
