# SPDX-License-Identifier: Apache-2.0
"""What the DICOM door needs from the rooms behind it, and nothing more.

Invariant: all of these are called from worker threads, never from the event loop.
"""

import ssl
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from radkeep.dicom.commitment import CommitmentRequest
from radkeep.dicom.query import Level, Match, Query
from radkeep.domain.actor import Actor
from radkeep.identity.permissions import Permission
from radkeep.retrieval.commitment import Commitment
from radkeep.retrieval.ports import Page
from radkeep.retrieval.retrieved import Retrieved
from radkeep.retrieval.selection import Wanted

PERMANENT: Final = 1  # result of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)
TRANSIENT: Final = 2


class Rejected(Exception):  # noqa: N818 - an answer of the protocol, not a fault
    """The association is refused with these three numbers (PS3.8 Table 9-21)."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        super().__init__(f"{result}/{source}/{reason}")
        self.result, self.source, self.reason = result, source, reason


class Admission(Protocol):
    """Decides who may have an association."""

    def admit(self, calling: str, called: str, address: str, certificate: str) -> Actor:
        """Return the device that calls, with its organization and permissions.

        ``certificate`` is the SHA-256 of the one that TLS has verified, hexadecimal; "" without
        TLS. Records a refusal, with its true reason, in the audit log before it raises.

        Raises:
            ForbiddenError: refused; a plaintext peer always hears 1/1/3.
            Rejected: refused with these numbers.
            UnavailableError, ThrottledError: cannot be decided now; the peer hears 2/3/2.
            LockedError: the keys are not unlocked; the peer hears 2/3/1.
        """
        ...

    def recheck(self, actor: Actor, certificate: str) -> None:
        """Return only if ``actor``, admitted before, would be admitted again as it is.

        ``certificate`` is as at ``admit``.

        Raises:
            ForbiddenError: it would not; its associations end.
            UnavailableError: cannot be decided now.
        """
        ...


class Transfer(Protocol):
    """What one association stores, as the audit log sees it."""

    def close(self) -> None:
        """End it; instances that are not answered yet still belong to it."""
        ...


class Reception(Protocol):
    """One instance on its way in. Used by one thread."""

    def feed(self, data: memoryview) -> None:
        """Take more of the data set; ``data`` is valid during the call only.

        Raises:
            RadkeepError: refused; the reception has abandoned itself and recorded the refusal.
        """
        ...

    def finish(self) -> Future[Any]:
        """Say that the data set is complete; the future is done once the instance is durable.

        Raises:
            RadkeepError: refused, here or as the future's exception.
        """
        ...

    def abandon(self) -> None:
        """Forget the instance; nothing of it will be readable."""
        ...


TransferT = TypeVar("TransferT", bound=Transfer)


class Store(Protocol[TransferT]):
    """The way in. Thread-safe."""

    def transfer(self, actor: Actor, *, session: str, protocol: str) -> TransferT:
        """Begin what ``actor`` stores over one association."""
        ...

    def receive(
        self,
        transfer: TransferT,
        *,
        transfer_syntax: str | None,
        sop_class: str = "",
        sop_instance: str = "",
    ) -> Reception:
        """Begin one instance; the data set must carry the UIDs that are named here.

        Raises:
            RadkeepError: refused, and the refusal recorded.
        """
        ...


class Finder(Protocol):
    """The way to ask. Thread-safe."""

    def matchable(self, level: Level, match: Match) -> bool:
        """Tell whether ``run`` can match this key at ``level``."""
        ...

    def run(self, actor: Actor, level: Level, query: Query, *, protocol: str) -> Page:
        """Return what matches.

        Raises:
            RadkeepError: refused, and the refusal recorded.
        """
        ...


class Selector(Protocol):
    """The way to objects. Thread-safe."""

    def admitted(
        self, actor: Actor, *, permission: Permission, purpose: str
    ) -> AbstractContextManager[None]:
        """Let ``actor`` look for what to choose from; what the block refuses is recorded.

        Raises:
            RadkeepError: refused, and the refusal recorded.
        """
        ...

    def choose(
        self, actor: Actor, wanted: Wanted, *, permission: Permission, purpose: str
    ) -> Sequence[Retrieved]:
        """Return what is to leave, after it was audited.

        Raises:
            RadkeepError: refused, and the refusal recorded.
        """
        ...


class Committer(Protocol):
    """The way to ask whether objects are kept. Thread-safe."""

    def require(self, actor: Actor) -> None:
        """Return only if ``actor`` may ask.

        Raises:
            ForbiddenError: otherwise; the refusal is recorded.
        """
        ...

    def check(
        self, actor: Actor, request: CommitmentRequest, *, ended: Callable[[], bool]
    ) -> Commitment:
        """Return what is kept and what is not, after it was audited.

        Raises:
            RadkeepError: nothing can be said.
        """
        ...


class Destination(Protocol):
    """Where a registered device listens."""

    @property
    def ae_title(self) -> str:
        """Return its AE title."""
        ...

    @property
    def host(self) -> str:
        """Return its host name or address."""
        ...

    @property
    def port(self) -> int:
        """Return its port."""
        ...

    @property
    def tls(self) -> bool:
        """Tell whether it listens with TLS."""
        ...


class Destinations(Protocol):
    """Whom we may send to. Thread-safe."""

    def context(self) -> ssl.SSLContext:
        """Return what we show and speak to peers that listen with TLS; it trusts nobody.

        Raises:
            UnavailableError: we have no certificate to show.
        """
        ...

    def proofs(self, organization: str, ae_title: str) -> Collection[str]:
        """Return the SHA-256 of the certificates, hexadecimal, that prove a destination now."""
        ...

    def destination(self, organization: str, ae_title: str) -> Destination:
        """Return a registered destination.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def check_plaintext(self, organization: str, address: str) -> None:
        """Return only if ``address`` may hear us without TLS.

        Raises:
            ForbiddenError: otherwise.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What stands behind the door besides the store; nothing is offered that has no room."""

    finder: Finder | None = None  # C-FIND
    selector: Selector | None = None  # C-GET
    destinations: Destinations | None = None  # with it C-MOVE, and reports on new associations
    committer: Committer | None = None  # storage commitment


class Violation(StrEnum):
    """Why an association ended that should not have."""

    PROTOCOL = "protocol-violation"  # PS3.7 or PS3.8 broken, or a limit passed
    TOO_SLOW = "too-slow"  # a deadline passed inside a request or a message
    CROWDED_OUT = "crowded-out"  # made room for a newcomer
    NO_TLS = "handshake-failed"  # no certificate, or none that we trust
    WITHDRAWN = "admission-withdrawn"  # the device was removed or changed meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One or more associations of a peer that we ended, or never let begin."""

    violation: Violation
    detail: str  # our own words, never the peer's
    address: str
    actor: Actor | None  # None before admission
    session: str
    count: int = 1  # as many in the last ``settings.incident_interval``


class Witness(Protocol):
    """Keeps the record of violations."""

    def record(self, incident: Incident) -> None:
        """Write ``incident`` to the audit log."""
        ...
