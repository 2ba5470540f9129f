# SPDX-License-Identifier: Apache-2.0
"""Who has to leave a full room, how incidents are counted, where bytes arrive."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dimse.buffers import Segment, SegmentPool
from radkeep.dimse.inbox import Inbox
from radkeep.dimse.incidents import Incidents
from radkeep.dimse.ports import Incident, Violation
from radkeep.dimse.settings import FIRST_BUFFER, SEGMENT
from radkeep.dimse.wire.connection import MAX_ASSOCIATE
from radkeep.domain.addresses import source_of
from radkeep.domain.crowd import Crowd


def test_the_oldest_of_the_busiest_source_leaves() -> None:
    crowd: Crowd[str] = Crowd(4)
    for member, source in (("a1", "A"), ("b1", "B"), ("b2", "B"), ("b3", "B")):
        assert crowd.add(member, source) is None
    assert crowd.add("a2", "A") == "b1"
    assert crowd.members() == ("a1", "b2", "b3", "a2")


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("ABC")), max_size=60))
def test_never_over_the_limit_and_never_the_newcomer(arrivals: list[tuple[int, str]]) -> None:
    crowd: Crowd[int] = Crowd(5)
    for n, (_, source) in enumerate(arrivals):
        leaver = crowd.add(n, source)
        assert leaver != n
        assert n in crowd
        assert len(crowd) <= 5
    for n, (drop, _) in enumerate(arrivals):
        crowd.discard(drop)
        crowd.discard(n)
    assert len(crowd) == 0
    assert crowd.leaver() is None
    assert crowd.oldest() is None


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("", "elsewhere"),
    ],
)
def test_one_source(address: str, source: str) -> None:
    assert source_of(address) == source


def _incident(address: str = "10.0.0.7") -> Incident:
    return Incident(
        violation=Violation.PROTOCOL, detail="bad", address=address, actor=None, session=""
    )


def test_equal_incidents_become_one_record() -> None:
    records: list[Incident] = []
    incidents = Incidents(records.append, interval=10.0)
    for now in (0.0, 1.0, 2.0):
        incidents.note(_incident(), now)
    assert [record.count for record in records] == [1]
    incidents.sweep(9.0)
    assert len(records) == 1
    incidents.sweep(10.0)
    assert [record.count for record in records] == [1, 2]
    incidents.note(_incident(), 11.0)
    incidents.close()
    assert [record.count for record in records] == [1, 2, 1]


def test_a_flood_of_addresses_is_bounded_and_counted() -> None:
    records: list[Incident] = []
    incidents = Incidents(records.append, interval=10.0)
    for n in range(3_000):
        incidents.note(_incident(f"2001:db8::{n:x}"), 0.0)
    incidents.close()
    assert len(records) < 1_100
    assert sum(record.count for record in records) == 3_000


class Owner:
    def __init__(self) -> None:
        self.bytes = 0
        self.back: list[tuple[Segment, bool]] = []
        self.inbox = Inbox(SegmentPool(), grew=self._grew, give_back=self._back)

    def _grew(self, extra: int) -> None:
        self.bytes += extra

    def _back(self, segment: Segment, lent: bool) -> None:  # noqa: FBT001
        self.back.append((segment, lent))

    def put(self, data: bytes, *, associated: bool = False) -> bytes:
        room = self.inbox.room(associated=associated, in_message=True)
        room[: len(data)] = data
        return bytes(self.inbox.waiting(len(data)))


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    yield owner
    owner.inbox.clear()
    assert owner.bytes == 0


def test_silence_owns_nothing_and_a_request_grows_as_it_comes(owner: Owner) -> None:
    assert owner.bytes == 0
    owner.put(b"x")
    assert owner.bytes == FIRST_BUFFER
    total = 1
    while total < MAX_ASSOCIATE + 6:
        owner.inbox.settle(keep=False)
        room = owner.inbox.room(associated=False)
        assert len(room) > 0
        total += len(room)
        owner.inbox.waiting(len(room))
        assert owner.bytes <= max(2 * total, FIRST_BUFFER)
    owner.inbox.settle(keep=False)
    assert owner.bytes == MAX_ASSOCIATE + 6


def test_a_segment_is_kept_in_a_message_only(owner: Owner) -> None:
    owner.put(b"12345678", associated=True)
    owner.inbox.consume(8, lent=True)
    owner.inbox.settle(keep=True)
    assert owner.back == []
    owner.inbox.settle(keep=False)
    assert [lent for _, lent in owner.back] == [True]


def test_what_waits_moves_to_the_next_segment(owner: Owner) -> None:
    owner.put(bytes(SEGMENT - 3), associated=True)
    owner.inbox.consume(SEGMENT - 10, lent=False)
    assert owner.put(b"more", associated=True) == bytes(7) + b"more"
    assert [lent for _, lent in owner.back] == [False]


def test_what_waits_moves_from_the_own_buffer_to_a_segment(owner: Owner) -> None:
    owner.put(b"request+rest")
    owner.inbox.consume(8, lent=False)
    owner.inbox.settle(keep=False)
    assert owner.put(b"!", associated=True) == b"rest!"
    assert owner.bytes == 0
