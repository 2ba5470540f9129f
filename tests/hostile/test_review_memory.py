# SPDX-License-Identifier: Apache-2.0
"""Many senders that each make us keep as much as one may: together they stay within a bound."""

import pytest

from radkeep.dicom.encode import encode
from radkeep.domain.errors import UnavailableError
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.ingest import held
from radkeep.ingest.held import Held
from radkeep.ingest.store import Reception, Store
from radkeep.testing.archive import MemoryArchive
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.identity import FakeClock

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.8.498.5"
BLOCK = 1 << 20


class House:
    """A store whose receptions may hold 4 MiB together."""

    def __init__(self) -> None:
        self.audit = MemoryAuditLog()
        self.store = Store(
            recorder=MemoryArchive(MemoryCatalog()),
            policy=Policy(),
            audit=self.audit,
            clock=FakeClock(),
            limit=64 << 20,
        )
        self.store._held = Held(4 * BLOCK)
        actor = actors.system("gate", Permission.INSTANCE_STORE, organization="org")
        self.transfer = self.store.transfer(actor, session="a", protocol="dimse")

    def begin(self) -> Reception:
        return self.store.receive(self.transfer, transfer_syntax=EXPLICIT)

    @property
    def total(self) -> int:
        return self.store._held._total


def nameless(size: int) -> bytes:
    """Return the beginning of a data set that does not come to its study."""
    value = b"x" * 60_000
    count = size // len(value) + 1
    head = encode([(0x00080016, "UI", CT)])
    return head + b"".join(
        encode([(0x00091000 + number, "LO", "x" * 60_000)]) for number in range(count)
    )


def image(private: int) -> bytes:
    """Return an image whose head has about ``private`` bytes of short private values."""
    many = [(0x00210000 | 0x1000 + n, "LO", "x" * 64) for n in range(private // 72)]
    return encode(
        [
            (0x00080016, "UI", CT),
            (0x00080018, "UI", f"{ROOT}.1.1.1"),
            (0x0020000D, "UI", f"{ROOT}.1"),
            (0x0020000E, "UI", f"{ROOT}.1.1"),
            *many,
        ]
    )


@pytest.fixture
def house() -> House:
    return House()


def test_what_waits_for_its_study_is_bounded_over_all(house: House) -> None:
    data = nameless(BLOCK)
    open_ = [house.begin() for _ in range(16)]
    refused = 0
    for reception in open_:
        try:
            reception.feed(memoryview(data))
        except UnavailableError:
            refused += 1
    assert 11 <= refused <= 15
    assert house.total <= 4 * BLOCK
    usual = house.begin()  # others do not feel it
    usual.feed(memoryview(image(0)))
    assert usual.finish().result(0)
    for reception in open_:
        reception.abandon()
    assert house.total == 0
    again = house.begin()
    again.feed(memoryview(data))


def test_long_heads_count_and_end_with_their_instance(house: House) -> None:
    long, data = house.begin(), image(2 * BLOCK)
    long.feed(memoryview(data)[:-1000])
    assert house.total > BLOCK
    long.feed(memoryview(data)[-1000:])
    assert long.finish().result(0)
    assert house.total == 0


def test_usual_instances_are_not_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Held, "change", count)
    reception, data = house.begin(), image(held.FREE // 2)
    reception.feed(memoryview(data))
    assert reception.finish().result(0)
