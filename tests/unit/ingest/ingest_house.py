# SPDX-License-Identifier: Apache-2.0
"""The one way in over an archive, a catalog and an audit log in memory."""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from radkeep.audit.events import Event, EventId, EventType
from radkeep.dicom.encode import encode
from radkeep.dicom.part10 import file_meta
from radkeep.domain.actor import Actor
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.ingest.store import Receipt, Reception, Store
from radkeep.ingest.transfers import Transfer
from radkeep.testing.archive import MemoryArchive
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.identity import FakeClock

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
ROOT = "1.2.826.0.1.3680043.8.498.5"
STUDY, SERIES, INSTANCE = f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.1.1"
PIXELS = bytes(range(256)) * 32


def data_set(number: int = 1, *, study: str = STUDY, pixels: bytes = PIXELS) -> bytes:
    """Return a small CT image in explicit VR little endian."""
    return encode(
        [
            (0x00080016, "UI", CT),
            (0x00080018, "UI", f"{SERIES}.{number}"),
            (0x00080060, "CS", "CT"),
            (0x00100010, "PN", "Canary^Carla"),
            (0x00100020, "LO", "PID-7"),
            (0x0020000D, "UI", study),
            (0x0020000E, "UI", SERIES),
            (0x00200013, "IS", str(number)),
            (0x7FE00010, "OW", pixels),
        ]
    )


def dicom_file(number: int = 1, **options: object) -> bytes:
    """Return the same as a DICOM file."""
    return file_meta(CT, f"{SERIES}.{number}", EXPLICIT) + data_set(number, **options)


def sender(organization: str = "org") -> Actor:
    """Return an actor that may store."""
    return actors.system("gate", Permission.INSTANCE_STORE, organization=organization)


@dataclass
class House:
    """A store and everything it stands on."""

    limit: int = 1 << 20
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    clock: FakeClock = field(default_factory=FakeClock)
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)

    def __post_init__(self) -> None:
        self.archive = MemoryArchive(self.catalog)
        self.store = Store(
            recorder=self.archive,
            policy=Policy(),
            audit=self.audit,
            clock=self.clock,
            limit=self.limit,
        )

    def transfer(self, organization: str = "org", *, session: str = "association-1") -> Transfer:
        return self.store.transfer(sender(organization), session=session, protocol="dimse")

    def receive(
        self, transfer: Transfer, data: bytes, syntax: str | None = EXPLICIT, **declared: str
    ) -> Future[Receipt]:
        """Send an instance in one piece."""
        reception = self.store.receive(transfer, transfer_syntax=syntax, **declared)
        reception.feed(memoryview(data))
        return reception.finish()

    def in_pieces(
        self, transfer: Transfer, data: bytes, cuts: Sequence[int], syntax: str | None = EXPLICIT
    ) -> Receipt:
        """Send an instance cut at ``cuts``, through a buffer that is used again."""
        reception = self.store.receive(transfer, transfer_syntax=syntax)
        for piece in _cut(data, cuts):
            _feed_from_a_buffer(reception, piece)
        return reception.finish().result(0)

    def told(self, event: EventId, kind: EventType = EventType.NONE) -> list[Event]:
        """Return the audited events of one kind and type."""
        return [each for each in self.audit.of(event) if each.type is kind]

    def begun(self) -> list[Event]:
        return self.told(EventId.BEGIN_TRANSFERRING)

    def transferred(self) -> list[Event]:
        return self.told(EventId.INSTANCES_TRANSFERRED)

    def refused(self) -> list[Event]:
        return self.told(EventId.INSTANCES_TRANSFERRED, EventType.REFUSED)


def _cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def _feed_from_a_buffer(reception: Reception, piece: bytes) -> None:
    buffer = bytearray(piece)
    reception.feed(memoryview(buffer))
    buffer[:] = b"\xff" * len(buffer)
