# SPDX-License-Identifier: Apache-2.0
"""The one way in: what a receipt means, and what no refusal leaves behind."""

import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import Future

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_house import (
    CT,
    EXPLICIT,
    INSTANCE,
    PIXELS,
    SERIES,
    STUDY,
    House,
    data_set,
    dicom_file,
    sender,
)

from radkeep.audit.events import EventId, EventType, Outcome
from radkeep.dicom.encode import encode
from radkeep.dicom.head import InstanceHead
from radkeep.domain.errors import (
    ArchiveFullError,
    AuditUnavailableError,
    ForbiddenError,
    InstanceConflictError,
    IntegrityError,
    InvalidUidError,
    RadkeepError,
    TooLargeError,
    UidMismatchError,
    UnavailableError,
    UndecodableError,
)
from radkeep.identity import actors
from radkeep.ingest import store as store_module
from radkeep.ingest.ports import Verdict
from radkeep.ingest.store import Receipt, matches_digest, recorded
from radkeep.testing.audit import MemoryAuditLog

DEFLATED = "1.2.840.10008.1.2.1.99"


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    return packed + bytes(len(packed) % 2)


def stored_head(house: House, index: int = 0) -> InstanceHead:
    return InstanceHead.decode(house.archive.records[index][0])


@pytest.mark.parametrize(
    ("data", "syntax", "offset"),
    [
        (data_set(), EXPLICIT, 0),
        (dicom_file(), None, len(dicom_file()) - len(data_set())),
        (deflated(data_set()), DEFLATED, 0),
    ],
    ids=["bare", "file", "deflated"],
)
def test_everything_received_is_kept_and_described(
    data: bytes, syntax: str | None, offset: int
) -> None:
    house = House()
    receipt = house.receive(house.transfer(), data, syntax).result(0)
    assert receipt.verdict is Verdict.STORED
    assert receipt.length == len(data)
    assert receipt.facts.sop_instance == INSTANCE
    (record,) = house.archive.records
    assert record[1] == data
    head = stored_head(house)
    assert head.digest == hashlib.sha256(data[offset:]).digest()
    assert (head.data_set_offset, head.data_set_length) == (offset, len(data) - offset)
    assert head.received_length == len(data)
    (arrival,) = house.catalog.instances.values()
    assert arrival.digest == head.digest
    assert arrival.data_set_length == head.data_set_length
    assert recorded(record[0], arrival.placement) == arrival
    assert matches_digest(record[0], lambda start, stop: iter([data[start:stop]])) == ""
    assert house.archive.opened == [("org", STUDY)]


def test_the_origin_says_who_sent_it_and_when() -> None:
    house = House()
    house.receive(house.transfer(), data_set()).result(0)
    (begin,) = house.begun()
    origin = stored_head(house).origin
    assert len(origin.pop("transfer")) == 32
    assert origin == {
        "organization": "org",
        "source": "gate",
        "kind": "system",
        "address": "",
        "protocol": "dimse",
        "received": "2026-03-02T08:00:00.000+00:00",
    }
    assert begin.time.isoformat() == "2026-03-02T08:00:00+00:00"


@pytest.mark.parametrize("syntax", [EXPLICIT, None], ids=["bare", "file"])
@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 9000), max_size=40))
def test_the_size_of_pieces_changes_nothing(syntax: str | None, cuts: list[int]) -> None:
    data = dicom_file() if syntax is None else data_set()
    house, whole = House(), House()
    receipt = house.in_pieces(house.transfer(), data, cuts, syntax)
    expected = whole.receive(whole.transfer(), data, syntax).result(0)
    assert receipt == expected
    assert house.archive.records[0][1] == data
    one, other = stored_head(house), stored_head(whole)
    assert msgspec.structs.replace(one, origin=other.origin) == other


def test_a_byte_at_a_time_is_the_same() -> None:
    house, data = House(), dicom_file(pixels=b"12")
    receipt = house.in_pieces(house.transfer(), data, range(len(data)), None)
    assert receipt.length == len(data)
    assert house.archive.records[0][1] == data


# Each: what is sent, what it is called, the error, and whether the record had begun.
DECLARED: list[tuple[dict[str, str], type[RadkeepError]]] = [
    ({"sop_class": "1.2.840.10008.5.1.4.1.1.4"}, UidMismatchError),
    ({"sop_instance": f"{SERIES}.2"}, UidMismatchError),
    ({"study": f"{STUDY}.9"}, UidMismatchError),
]
NAMED = {0x00080016: CT, 0x00080018: INSTANCE, 0x0020000D: STUDY, 0x0020000E: SERIES}


def named(**changes: str | None) -> bytes:
    values = NAMED | {int(tag, 16): value for tag, value in changes.items()}
    elements = [(tag, "UI", value) for tag, value in values.items() if value is not None]
    return encode([*elements, (0x7FE00010, "OW", PIXELS)])


BROKEN: list[tuple[str, bytes, type[RadkeepError]]] = [
    ("nothing", b"", UndecodableError),
    ("text", b"GIF89a, or so it seems; not a data set" * 50, UndecodableError),
    ("cut in the pixels", data_set()[:-100], UndecodableError),
    ("cut in the head", data_set()[:60], UndecodableError),
    ("no study", named(**{"0020000D": None}), UndecodableError),
    ("empty study", named(**{"0020000D": ""}), UndecodableError),
    ("dots for a study", named(**{"0020000D": ".."}), InvalidUidError),
    ("a path for a study", named(**{"0020000D": "1.2/../3"}), InvalidUidError),
    ("spaces in a UID", named(**{"00080018": "1. 2"}), InvalidUidError),
    ("65 characters", named(**{"00080018": "1" * 65}), InvalidUidError),
]


def expect_nothing_kept(house: House, code: str) -> None:
    assert house.archive.records == []
    assert house.catalog.instances == {}
    assert len(house.archive.opened) == house.archive.abandoned
    (told,) = house.refused()
    assert told.detail == {"protocol": "dimse", "reason": code}
    assert told.outcome is not Outcome.SUCCESS
    assert "Canary" not in str(house.audit.events)


@pytest.mark.parametrize(("declared", "error"), DECLARED)
def test_a_data_set_must_be_what_the_request_says(
    declared: dict[str, str], error: type[RadkeepError]
) -> None:
    house = House()
    with pytest.raises(error):
        house.receive(house.transfer(), data_set(), **declared)
    expect_nothing_kept(house, error.code)
    assert house.begun() == []


def test_what_the_request_says_rightly_is_no_matter() -> None:
    house = House()
    sent = house.receive(
        house.transfer(), data_set(), sop_class=CT, sop_instance=INSTANCE, study=STUDY
    )
    assert sent.result(0).verdict is Verdict.STORED


@pytest.mark.parametrize(("what", "data", "error"), BROKEN, ids=[case[0] for case in BROKEN])
@pytest.mark.parametrize("step", [17, 1 << 20])
def test_what_cannot_be_read_leaves_nothing(
    what: str, data: bytes, error: type[RadkeepError], step: int
) -> None:
    house = House()
    reception = house.store.receive(house.transfer(), transfer_syntax=EXPLICIT)
    with pytest.raises(error):  # noqa: PT012 - feed or finish, as it happens to be seen
        for start in range(0, len(data), step):
            reception.feed(memoryview(data)[start : start + step])
        reception.finish()
    expect_nothing_kept(house, error.code)


def test_a_file_that_is_none_is_refused() -> None:
    house = House()
    with pytest.raises(UndecodableError):
        house.receive(house.transfer(), b"%PDF-1.7" + bytes(500), None)
    expect_nothing_kept(house, "undecodable-data-set")


def test_too_large_is_refused_at_the_byte_that_is_too_many() -> None:
    data = data_set()
    house = House(limit=len(data))
    assert house.receive(house.transfer(), data).result(0).verdict is Verdict.STORED
    house = House(limit=len(data) - 1)
    reception = house.store.receive(house.transfer(), transfer_syntax=EXPLICIT)
    reception.feed(memoryview(data)[:-1])
    with pytest.raises(TooLargeError):
        reception.feed(memoryview(data)[-1:])
    expect_nothing_kept(house, "too-large")


def test_a_study_that_never_comes_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_PENDING_BYTES", 4000)
    house = House()
    private = [(0x00090010, "LO", "US"), (0x00091001, "UN", bytes(60_000))]
    data = encode([(tag, "UI", value) for tag, value in NAMED.items()] + private)
    reception = house.store.receive(house.transfer(), transfer_syntax=EXPLICIT)
    with pytest.raises(UndecodableError):  # noqa: PT012
        for start in range(0, len(data), 1000):
            reception.feed(memoryview(data)[start : start + 1000])
    expect_nothing_kept(house, "undecodable-data-set")


@pytest.mark.parametrize(
    ("error", "code"),
    [(ArchiveFullError("full"), "archive-full"), (UnavailableError("no key"), "unavailable")],
)
def test_an_archive_that_opens_no_record_is_told_to_the_sender(
    error: RadkeepError, code: str
) -> None:
    house = House()
    house.archive.refusal = error
    with pytest.raises(type(error)):
        house.receive(house.transfer(), data_set())
    expect_nothing_kept(house, code)
    house.archive.refusal = None
    assert house.receive(house.transfer(), data_set()).result(0).verdict is Verdict.STORED


@pytest.mark.parametrize(
    "error", [ArchiveFullError("full"), UnavailableError("busy"), IntegrityError("sync")]
)
def test_a_record_that_cannot_be_made_durable_is_no_receipt(error: RadkeepError) -> None:
    house = House()
    house.archive.failure = error
    receipt = house.receive(house.transfer(), data_set())
    assert receipt.exception(0) is error
    (told,) = house.refused()
    assert told.detail["reason"] == error.code
    assert told.study == STUDY
    house.store.flush()
    assert house.transferred() == []


def test_the_same_again_is_success_and_stays_one() -> None:
    house = House()
    transfer = house.transfer()
    first = house.receive(transfer, data_set()).result(0)
    again = house.receive(transfer, dicom_file(), None).result(0)  # the same data set, as a file
    assert [first.verdict, again.verdict] == [Verdict.STORED, Verdict.SAME]
    assert len(house.catalog.instances) == 1
    assert house.catalog.quarantine == {}


def test_other_bytes_under_the_same_uid_go_to_quarantine() -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set()).result(0)
    (original,) = house.catalog.instances.values()
    other = house.receive(transfer, data_set(pixels=b"\1" * len(PIXELS)))
    assert isinstance(other.exception(0), InstanceConflictError)
    (kept,) = house.catalog.instances.values()
    assert kept is original
    (held,) = house.catalog.quarantine.values()
    assert held.placement.offset == 1
    (told,) = house.told(EventId.INSTANCES_TRANSFERRED, EventType.QUARANTINED)
    assert told.study == STUDY
    assert house.refused() == []


def test_organizations_do_not_meet() -> None:
    house = House()
    other = data_set(pixels=b"\1" * len(PIXELS))
    assert house.receive(house.transfer("a"), data_set()).result(0).verdict is Verdict.STORED
    assert house.receive(house.transfer("b"), other).result(0).verdict is Verdict.STORED
    assert house.archive.opened == [("a", STUDY), ("b", STUDY)]


def test_who_may_not_store_opens_no_transfer() -> None:
    house = House()
    with pytest.raises(ForbiddenError):
        house.store.transfer(
            actors.system("gate", organization="org"), session="s", protocol="stow-rs"
        )
    (told,) = house.told(EventId.BEGIN_TRANSFERRING, EventType.REFUSED)
    assert told.detail == {"protocol": "stow-rs", "code": "not-permitted"}


class SlowLog(MemoryAuditLog):
    """Answers when it is told to; until then nothing is durable."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def submit(self, events):  # noqa: ANN001, ANN201 - as MemoryAuditLog
        indices: Future[tuple[int, ...]] = Future()
        self.waiting.append(
            lambda: indices.set_result(super(SlowLog, self).submit(events).result())
        )
        return indices


class ImpatientFuture(Future[tuple[int, ...]]):
    """A future whose waiting is a question of fact, not of time."""

    def result(self, timeout: float | None = None) -> tuple[int, ...]:
        assert timeout is not None
        return super().result(0)


def test_no_record_reaches_the_archive_before_its_begin_is_durable() -> None:
    class NeverLog(MemoryAuditLog):
        def submit(self, events):  # noqa: ANN001, ANN202
            return ImpatientFuture()

    house = House(audit=NeverLog())
    with pytest.raises(AuditUnavailableError):
        house.receive(house.transfer(), data_set())
    assert house.archive.records == []
    assert house.archive.abandoned == 1


def test_begin_is_sent_when_the_study_is_known_and_not_waited_for_until_the_end() -> None:
    log = SlowLog()
    house = House(audit=log)
    reception = house.store.receive(house.transfer(), transfer_syntax=EXPLICIT)
    data = memoryview(data_set())
    reception.feed(data[:400])
    assert reception.identity is not None
    assert len(log.waiting) == 1  # sent
    assert log.events == []  # and the feed did not wait
    log.waiting.pop()()
    reception.feed(data[400:])
    assert reception.finish().result(0).verdict is Verdict.STORED
    (begin,) = house.begun()
    assert (begin.study, begin.patient, begin.session) == (STUDY, "PID-7", "association-1")


def test_without_an_audit_log_nothing_is_stored() -> None:
    house = House()
    transfer = house.transfer()
    house.audit.available = False
    with pytest.raises(AuditUnavailableError):
        house.receive(transfer, data_set())
    assert house.archive.records == []
    assert house.archive.abandoned == 1


def test_a_sender_that_goes_away_leaves_nothing() -> None:
    house = House()
    reception = house.store.receive(house.transfer(), transfer_syntax=EXPLICIT)
    reception.feed(memoryview(data_set())[:4000])
    reception.abandon()
    reception.abandon()
    assert house.archive.abandoned == 1
    assert house.archive.records == []


def test_the_actor_of_a_transfer_has_its_session() -> None:
    house = House()
    transfer = house.store.transfer(sender(), session="request-9", protocol="stow-rs")
    receipt: Receipt = house.receive(transfer, data_set()).result(0)
    assert receipt.verdict is Verdict.STORED
    assert {event.session for event in house.audit.events} == {"request-9"}


def test_a_damaged_record_is_told_by_its_digest() -> None:
    house = House()
    house.receive(house.transfer(), data_set()).result(0)
    head, body = house.archive.records[0]
    bad = body[:-1] + bytes([body[-1] ^ 1])
    assert matches_digest(head, lambda start, stop: iter([bad[start:stop]])) != ""
