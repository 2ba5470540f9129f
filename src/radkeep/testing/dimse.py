# SPDX-License-Identifier: Apache-2.0
"""What stands around the DICOM door in tests: an admission list, a store in memory, a loop.

Invariant: the fakes keep the contract of ``radkeep.dimse.ports``: an instance is kept whole or not
at all, success is told by a future that another thread ends, and each reception ends once.
"""

import asyncio
import ssl
import struct
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.errors import (
    ForbiddenError,
    NotFoundError,
    RadkeepError,
    UidMismatchError,
    UnavailableError,
    UndecodableError,
)
from radkeep.domain.uid import Uid

_SOP_CLASS: Final = (0x0008, 0x0016)
_SOP_INSTANCE: Final = (0x0008, 0x0018)
_IMPLICIT: Final = "1.2.840.10008.1.2"
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_T = TypeVar("_T")
_LONG: Final = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT")


def device(title: str = "CT1", *, permissions: frozenset[str] = frozenset()) -> Actor:
    """Return a registered device."""
    return Actor(
        kind=ActorKind.DEVICE, id=title, name=title, organization="org", permissions=permissions
    )


class FakeAdmission:
    """Admits listed calling titles that use the right called title."""

    def __init__(self, *titles: str, called: str = "RADKEEP") -> None:
        """Admit ``titles``, or every title if there are none."""
        self.titles, self.called = titles, called
        self.refused: list[tuple[str, str, str]] = []  # calling, called, address
        self.certificates: list[str] = []  # of whom it was asked to admit
        self.permissions: frozenset[str] = frozenset()  # of whom it admits
        self.rechecks = 0
        self.removed: set[str] = set()  # titles that would not be admitted again
        self.error: RadkeepError | None = None  # raised instead of a decision

    def admit(self, calling: str, called: str, address: str, certificate: str = "") -> Actor:
        """Return the device, or refuse.

        Raises:
            ForbiddenError: not on the list, or another called title.
        """
        if self.error is not None:
            raise self.error
        self.certificates.append(certificate)
        if called != self.called or (self.titles and calling not in self.titles):
            self.refused.append((calling, called, address))
            raise ForbiddenError("not admitted")
        return device(calling, permissions=self.permissions)

    def recheck(self, actor: Actor, certificate: str = "") -> None:
        """Return only if ``actor`` was not removed.

        Raises:
            ForbiddenError: its title is in ``removed``.
        """
        self.rechecks += 1
        self.certificates.append(certificate)
        if self.error is not None:
            raise self.error
        if actor.id in self.removed:
            raise ForbiddenError("not admitted any more")


@dataclass
class FakeTransfer:
    """One association's stores."""

    actor: Actor
    session: str
    closed: int = 0

    def close(self) -> None:
        """Count how often it was ended."""
        self.closed += 1


@dataclass(frozen=True)
class Kept:
    """One instance as it was stored."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes
    actor: Actor


@dataclass
class FakeReception:
    """One instance on its way in."""

    store: "FakeStore"
    transfer: FakeTransfer
    transfer_syntax: str
    sop_class: str
    sop_instance: str
    data: bytearray = field(default_factory=bytearray)
    ended: str = ""  # finished, abandoned or refused

    def feed(self, data: memoryview) -> None:
        """Take more bytes; ``store.feed_error`` refuses them instead."""
        assert not self.ended, f"fed after it was {self.ended}"
        self.store.feeding.wait()
        if self.store.feed_error is not None:
            self.ended = "refused"
            raise self.store.feed_error
        self.data += data

    def finish(self) -> Future[Kept]:
        """Store in the writer thread."""
        assert not self.ended, f"finished after it was {self.ended}"
        self.ended = "finished"
        return self.store.writer.submit(self.store.commit, self)

    def abandon(self) -> None:
        """Forget the bytes."""
        assert not self.ended, f"abandoned after it was {self.ended}"
        self.ended = "abandoned"
        self.data.clear()


class FakeStore:
    """Keeps instances in memory; thread-safe."""

    def __init__(self, *, keep: bool = True) -> None:
        """Drop the bytes at once if not ``keep``, for measurements."""
        self.keep = keep
        self.kept: list[Kept] = []
        self.transfers: list[FakeTransfer] = []
        self.receptions: list[FakeReception] = []
        self.feed_error: RadkeepError | None = None
        self.commit_error: Exception | None = None
        self.open = threading.Event()  # while it is not set, nothing becomes durable
        self.open.set()
        self.feeding = threading.Event()  # while it is not set, receptions take nothing
        self.feeding.set()
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="fake-writer")

    def transfer(self, actor: Actor, *, session: str, protocol: str) -> FakeTransfer:
        """Begin what one association stores."""
        assert protocol == "c-store"
        transfer = FakeTransfer(actor, session)
        self.transfers.append(transfer)
        return transfer

    def receive(
        self,
        transfer: FakeTransfer,
        *,
        transfer_syntax: str | None,
        sop_class: str = "",
        sop_instance: str = "",
        study: str = "",
    ) -> FakeReception:
        """Begin one instance.

        Raises:
            InvalidUidError: a UID of the request is malformed.
        """
        assert transfer_syntax is not None
        assert not study
        Uid.parse(sop_class)
        Uid.parse(sop_instance)
        reception = FakeReception(self, transfer, transfer_syntax, sop_class, sop_instance)
        if self.keep:
            self.receptions.append(reception)
        return reception

    def commit(self, reception: FakeReception) -> Kept:
        """Make an instance durable; runs in the writer thread.

        Raises:
            UidMismatchError: the data set has other UIDs than the request.
            UndecodableError: it has none that this fake can read.
        """
        self.open.wait()
        if self.commit_error is not None:
            raise self.commit_error
        if (reception.sop_class, reception.sop_instance) != read_uids(
            reception.data, reception.transfer_syntax
        ):
            raise UidMismatchError("the data set is another instance than announced")
        kept = Kept(
            reception.sop_class,
            reception.sop_instance,
            reception.transfer_syntax,
            bytes(reception.data) if self.keep else b"",
            reception.transfer.actor,
        )
        if self.keep:
            self.kept.append(kept)
        return kept

    def close(self) -> None:
        """End the writer thread."""
        self.open.set()
        self.feeding.set()
        self.writer.shutdown()


class FakeWitness:
    """Remembers incidents."""

    def __init__(self) -> None:
        self.incidents: list[Any] = []

    def record(self, incident: object) -> None:
        """Remember ``incident``."""
        self.incidents.append(incident)


class LoopThread:
    """An event loop in a thread of its own, so that blocking peers can be tested against it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T], timeout: float = 30.0) -> _T:
        """Return what ``work`` returns; wait at most ``timeout`` seconds."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Door:
    """A running DICOM server and what stands around it."""

    port: int
    server: Any  # a DimseServer, which this room may not know
    store: FakeStore
    admission: FakeAdmission
    witness: FakeWitness
    loop: LoopThread

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port


def read_uids(data: bytes | bytearray, transfer_syntax: str) -> tuple[str, str]:
    """Return SOP Class and Instance UID of a data set that begins like nearly all do.

    Raises:
        UndecodableError: the bytes end or change their form before the UIDs are found.
    """
    order = ">" if transfer_syntax == _BIG_ENDIAN else "<"
    found: dict[tuple[int, int], str] = {}
    position = 0
    try:
        while len(found) < 2:  # noqa: PLR2004 - the two UIDs
            tag = struct.unpack_from(order + "HH", data, position)
            if transfer_syntax == _IMPLICIT:
                (length,) = struct.unpack_from(order + "I", data, position + 4)
                position += 8
            elif bytes(data[position + 4 : position + 6]) in _LONG:
                (length,) = struct.unpack_from(order + "I", data, position + 8)
                position += 12
            else:
                (length,) = struct.unpack_from(order + "H", data, position + 6)
                position += 8
            if tag in (_SOP_CLASS, _SOP_INSTANCE):
                found[tag[0], tag[1]] = bytes(data[position : position + length]).decode("latin-1")
            position += length
    except struct.error:
        raise UndecodableError("no UIDs in the data set") from None
    return found[_SOP_CLASS].rstrip("\0"), found[_SOP_INSTANCE].rstrip("\0")


@dataclass(frozen=True)
class Place:
    """Where a registered device listens."""

    ae_title: str
    host: str
    port: int
    tls: bool = False


class FakeDestinations:
    """Destinations by AE title; ``forbidden`` addresses may not hear plaintext."""

    def __init__(self, *places: Place) -> None:
        self.places = {place.ae_title: place for place in places}
        self.forbidden: set[str] = set()
        self.known: set[str] = set()  # fingerprints that prove any of them
        self.calling: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return what we show.

        Raises:
            UnavailableError: nothing.
        """
        if self.calling is None:
            raise UnavailableError("no certificate to show")
        return self.calling

    def proofs(self, organization: str, ae_title: str) -> set[str]:
        """Return the fingerprints that prove a destination."""
        return self.known if organization == "org" and ae_title in self.places else set()

    def destination(self, organization: str, ae_title: str) -> Place:
        """Return where to send.

        Raises:
            NotFoundError: nowhere.
        """
        if organization != "org" or ae_title not in self.places:
            raise NotFoundError("no such destination")
        return self.places[ae_title]

    def check_plaintext(self, organization: str, address: str) -> None:
        """Refuse forbidden addresses.

        Raises:
            ForbiddenError: one of them.
        """
        if organization != "org" or address in self.forbidden:
            raise ForbiddenError("the zone of the destination does not allow plaintext")
