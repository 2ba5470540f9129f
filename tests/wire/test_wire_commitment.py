# SPDX-License-Identifier: Apache-2.0
"""Storage commitment over real sockets, with pynetdicom as the modality that wants to delete."""

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from radkeep.audit.events import EventId, EventType, Outcome
from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.encode import encode
from radkeep.domain.clock import SystemClock
from radkeep.identity.permissions import EVERYTHING, Permission
from radkeep.identity.policy import Policy
from radkeep.retrieval.commitment import Commitments
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.dimse import Door, FakeDestinations, Place
from radkeep.testing.shelf import Shelf

COMMITMENT, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
TRANSACTION = "2.25.77"
Report = tuple[int, Dataset]  # Event Type ID, Event Information


def stored(study: int, number: int) -> bytes:
    head = encode(
        [
            (0x00080016, "UI", CT),
            (0x00080018, "UI", f"1.2.{study}.1.{number}"),
            (0x00100020, "LO", f"P{study}"),
            (0x0020000D, "UI", f"1.2.{study}"),
            (0x0020000E, "UI", f"1.2.{study}.1"),
        ]
    )
    return head + struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OW", 3_000_000) + bytes(3_000_000)


@pytest.fixture
def clinic(
    open_door: Callable[..., Door], catalog: Catalog, shelf: Shelf, audit: MemoryAuditLog
) -> Iterator[Door]:
    """Return a door before two studies with three and two instances."""
    several = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    catalog.commit("a" * 32, 1, [shelf.put(stored(*one), EXPLICIT) for one in several])
    committer = Commitments(
        catalog=catalog, records=shelf, policy=Policy(), audit=audit, clock=SystemClock()
    )
    destinations = FakeDestinations()
    door = open_door(
        rooms={"committer": committer, "destinations": destinations},
        report_answer=0.5,
        report_pauses=(0.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2),
    )
    door.destinations = destinations
    yield door
    shelf.gate.set()


def asked(*references: tuple[str, str], transaction: str = TRANSACTION) -> Dataset:
    action = Dataset()
    action.TransactionUID = transaction
    action.ReferencedSOPSequence = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        action.ReferencedSOPSequence.append(item)
    return action


def took(reports: "SimpleQueue[Report]", status: int = 0) -> tuple[Any, Callable[[Event], Any]]:
    def take(event: Event) -> tuple[int, None]:
        assert event.request.AffectedSOPClassUID == COMMITMENT
        assert event.request.AffectedSOPInstanceUID == WELL_KNOWN
        reports.put((event.event_type, event.event_information))
        return status, None

    return evt.EVT_N_EVENT_REPORT, take


@contextmanager
def associated(
    door: Door, reports: "SimpleQueue[Report] | None" = None, syntax: str = EXPLICIT
) -> Iterator[Association]:
    ae = AE(ae_title="CT1")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    ae.add_requested_context(COMMITMENT, syntax)
    ae.add_requested_context("1.2.840.10008.1.1")
    link = ae.associate(
        *door.address,
        ae_title="RADKEEP",
        evt_handlers=[took(reports)] if reports is not None else [],
    )
    assert link.is_established
    try:
        yield link
    finally:
        link.release()


def act(link: Association, action: Dataset, kind: int = 1, instance: str = WELL_KNOWN) -> Dataset:
    status, _ = link.send_n_action(action, kind, COMMITMENT, instance)
    return status


def named(sequence: Sequence[Dataset]) -> list[tuple[str, str]]:
    return [(one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) for one in sequence]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_all_is_kept_and_told_on_the_same_association(
    clinic: Door, audit: MemoryAuditLog, syntax: str
) -> None:
    reports: SimpleQueue[Report] = SimpleQueue()
    wanted = [(CT, "1.2.1.1.3"), (CT, "1.2.2.1.1"), (CT, "1.2.1.1.1")]
    with associated(clinic, reports, syntax) as link:
        status = act(link, asked(*wanted))
        assert status.Status == 0
        kind, said = reports.get(timeout=10)
        assert link.send_c_echo().Status == 0
        assert act(link, asked((CT, "1.2.1.1.2"), transaction="2.25.78")).Status == 0
        assert reports.get(timeout=10)[1].TransactionUID == "2.25.78"
    assert kind == 1
    assert said.TransactionUID == TRANSACTION
    assert said.RetrieveAETitle == "RADKEEP"
    assert named(said.ReferencedSOPSequence) == wanted
    assert "FailedSOPSequence" not in said
    first = [e for e in audit.of(EventId.INSTANCES_TRANSFERRED) if e.type is EventType.COMMITTED]
    told = {(e.study, e.patient, e.count) for e in first[:2]}
    assert told == {("1.2.1", "P1", 2), ("1.2.2", "P2", 1)}
    assert all(e.digest and e.actor_id == "CT1" for e in first)
    assert all(e.detail["transaction"].startswith("2.25.7") for e in first)


def test_what_is_not_kept_is_told_with_its_reason(
    clinic: Door, shelf: Shelf, audit: MemoryAuditLog
) -> None:
    shelf.damaged.add(1)
    shelf.damaged_from = 2_000_000  # in its last part: a look at the head is not enough
    reports: SimpleQueue[Report] = SimpleQueue()
    wanted = [(CT, "1.2.1.1.1"), (CT, "1.2.1.1.2"), (MR, "1.2.1.1.3"), (CT, "1.2.99")]
    with associated(clinic, reports) as link:
        assert act(link, asked(*wanted)).Status == 0
        kind, said = reports.get(timeout=10)
    assert kind == 2
    assert named(said.ReferencedSOPSequence) == wanted[:1]
    assert named(said.FailedSOPSequence) == wanted[1:]
    assert [one.FailureReason for one in said.FailedSOPSequence] == [0x0110, 0x0119, 0x0112]
    (failed,) = [e for e in audit.of(EventId.INSTANCES_TRANSFERRED) if e.outcome]
    assert (failed.count, failed.outcome) == (3, Outcome.MINOR_FAILURE)
    assert failed.detail["reason"] == "damaged,missing,other_class"


def test_other_bytes_than_were_received_are_not_committed(clinic: Door, shelf: Shelf) -> None:
    shelf.forge(0, stored(1, 1)[:-1] + b"\1")
    reports: SimpleQueue[Report] = SimpleQueue()
    with associated(clinic, reports) as link:
        act(link, asked((CT, "1.2.1.1.1")))
        kind, said = reports.get(timeout=10)
    assert kind == 2
    assert said.FailedSOPSequence[0].FailureReason == 0x0110


@contextmanager
def modality(
    door: Door, reports: "SimpleQueue[Report]", status: int = 0
) -> Iterator[SimpleQueue[Any]]:
    """Run the modality's own server, registered as CT1; yield the associations it gets."""
    links: SimpleQueue[Any] = SimpleQueue()
    ae = AE(ae_title="CT1")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    ae.add_supported_context(COMMITMENT, [EXPLICIT, IMPLICIT], scu_role=False, scp_role=True)
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            took(reports, status),
            (evt.EVT_ACCEPTED, lambda event: links.put(event.assoc)),
        ],
    )
    port = server.socket.getsockname()[1]
    door.destinations.places["CT1"] = Place("CT1", "127.0.0.1", port)
    try:
        yield links
    finally:
        server.shutdown()


def test_who_does_not_wait_is_told_on_a_new_association(clinic: Door, shelf: Shelf) -> None:
    shelf.gate.clear()
    reports: SimpleQueue[Report] = SimpleQueue()
    with modality(clinic, reports) as links:
        with associated(clinic) as link:
            assert act(link, asked((CT, "1.2.1.1.1"))).Status == 0
        shelf.gate.set()
        kind, said = reports.get(timeout=10)
        called = links.get(timeout=10)
    assert kind == 1
    assert named(said.ReferencedSOPSequence) == [(CT, "1.2.1.1.1")]
    assert called.requestor.ae_title == "RADKEEP"
    (role,) = called.requestor.role_selection.values()
    assert (role.scu_role, role.scp_role) == (False, True)


def test_who_does_not_answer_is_told_again(clinic: Door) -> None:
    asleep = threading.Event()
    reports: SimpleQueue[Report] = SimpleQueue()

    def sleep(_: Event) -> tuple[int, None]:
        asleep.wait(10)
        return 0, None

    with modality(clinic, reports):
        ae = AE(ae_title="CT1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
        ae.add_requested_context(COMMITMENT, EXPLICIT)
        link = ae.associate(
            *clinic.address, ae_title="RADKEEP", evt_handlers=[(evt.EVT_N_EVENT_REPORT, sleep)]
        )
        act(link, asked((CT, "1.2.1.1.1")))
        assert reports.get(timeout=10)[0] == 1
        asleep.set()
        link.abort()


def test_a_modality_that_is_away_is_called_again(clinic: Door, shelf: Shelf) -> None:
    reports: SimpleQueue[Report] = SimpleQueue()
    clinic.destinations.places["CT1"] = Place("CT1", "127.0.0.1", 9)  # nobody listens there
    shelf.gate.clear()
    for number in (1, 2):
        with associated(clinic) as link:
            act(link, asked((CT, f"1.2.1.1.{number}"), transaction=f"2.25.{number}"))
    shelf.gate.set()
    with modality(clinic, reports) as links:
        transactions = {reports.get(timeout=10)[1].TransactionUID for _ in range(2)}
        assert transactions == {"2.25.1", "2.25.2"}
        assert not links.empty()


def test_a_modality_without_an_address_costs_nothing(clinic: Door) -> None:
    with associated(clinic) as link:
        act(link, asked((CT, "1.2.1.1.1")))
    with associated(clinic) as link:
        assert link.send_c_echo().Status == 0


def broken() -> Dataset:
    action = asked((CT, "1.2.1.1.1"))
    del action.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    return action


@pytest.mark.parametrize(
    ("action", "kind", "instance", "status"),
    [
        (asked((CT, "1.2.1.1.1")), 2, WELL_KNOWN, 0x0123),
        (asked((CT, "1.2.1.1.1")), 1, "1.2.3", 0x0112),
        (asked(), 1, WELL_KNOWN, 0x0115),
        (asked((CT, "1.2.1.1.1"), transaction=""), 1, WELL_KNOWN, 0x0115),
        (broken(), 1, WELL_KNOWN, 0x0115),
    ],
)
def test_requests_that_ask_for_nothing(
    clinic: Door, action: Dataset, kind: int, instance: str, status: int
) -> None:
    with associated(clinic) as link:
        assert act(link, action, kind, instance).Status == status
        assert link.send_c_echo().Status == 0


def test_who_may_not_store_may_not_ask(clinic: Door, audit: MemoryAuditLog) -> None:
    clinic.admission.permissions = EVERYTHING - {Permission.INSTANCE_STORE}
    with associated(clinic) as link:
        assert act(link, asked((CT, "1.2.1.1.1"))).Status == 0x0124
    (event,) = audit.of(EventId.INSTANCES_TRANSFERRED)
    assert event.type is EventType.REFUSED


def test_what_cannot_be_audited_is_not_committed(clinic: Door, audit: MemoryAuditLog) -> None:
    audit.available = False
    reports: SimpleQueue[Report] = SimpleQueue()
    with associated(clinic, reports) as link:
        assert act(link, asked((CT, "1.2.1.1.1"))).Status == 0
        kind, said = reports.get(timeout=10)
    assert kind == 2
    assert named(said.FailedSOPSequence) == [(CT, "1.2.1.1.1")]


def test_no_commitment_without_its_room(door: Door) -> None:
    ae = AE(ae_title="CT1")
    ae.add_requested_context(COMMITMENT)
    assert not ae.associate(*door.address, ae_title="RADKEEP").is_established
