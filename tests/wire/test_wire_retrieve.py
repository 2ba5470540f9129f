# SPDX-License-Identifier: Apache-2.0
"""C-GET and C-MOVE over real sockets: the bytes that arrive, the counts, and peers that fail."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from radkeep.audit.events import EventId, EventType
from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.encode import encode
from radkeep.dimse.scu.proposal import PeerError, Proposal
from radkeep.dimse.scu.requestor import Requestor
from radkeep.domain.errors import ForbiddenError
from radkeep.identity.permissions import EVERYTHING, Permission
from radkeep.retrieval.selection import Selection
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.dimse import Door, FakeDestinations, Place
from radkeep.testing.shelf import Shelf

GET, MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
CT, SR, MR = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "88.11", "4"))
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
STUDY = "1.2.3"


def data_set(number: int, *, sop_class: str = CT, size: int = 100_000, series: int = 1) -> bytes:
    head = encode(
        [
            (0x00080016, "UI", sop_class),
            (0x00080018, "UI", f"{STUDY}.{series}.{number}"),
            (0x00080060, "CS", "CT"),
            (0x00100010, "PN", "Phantom^Retrieve"),
            (0x00100020, "LO", "P1"),
            (0x0020000D, "UI", STUDY),
            (0x0020000E, "UI", f"{STUDY}.{series}"),
            (0x00200013, "IS", number),
        ]
    )
    return (
        head
        + struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OW", size)
        + bytes(byte % 251 for byte in range(256)) * (size // 256)
        + bytes(size % 256)
    )


@pytest.fixture
def held(catalog: Catalog, shelf: Shelf) -> dict[str, bytes]:
    """Return the data sets that are kept, by SOP Instance UID: six CT, one SR, one JPEG."""
    sets = {f"{STUDY}.1.{n}": (data_set(n, size=n * 70_000), EXPLICIT) for n in range(1, 7)}
    sets[f"{STUDY}.2.1"] = (data_set(1, sop_class=SR, series=2, size=10), EXPLICIT)
    sets[f"{STUDY}.3.1"] = (data_set(1, series=3), JPEG)
    catalog.commit("a" * 32, 1, [shelf.put(*one) for one in sets.values()])
    return {uid: content for uid, (content, _) in sets.items()}


@pytest.fixture
def clinic(
    open_door: Callable[..., Door], held: dict[str, bytes], selector: Selection
) -> Iterator[Door]:
    destinations = FakeDestinations()
    door = open_door(rooms={"selector": selector, "destinations": destinations})
    door.destinations = destinations
    return door


def wanted(level: str, **keys: object) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(asked, name, value)
    return asked


def get(
    door: Door,
    asked: Dataset,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    model: str = GET,
    answer: Callable[[Event], int] = lambda _: 0,
    roles: bool = True,
    max_pdu: int = 16_382,
    extended: Sequence[SOPClassExtendedNegotiation] = (),
) -> tuple[dict[str, tuple[str, bytes]], list[Dataset], list[Dataset | None]]:
    """Return what arrives with its transfer syntax, the statuses and the identifiers."""
    arrived: dict[str, tuple[str, bytes]] = {}

    def keep(event: Event) -> int:
        status = answer(event)
        if status == 0:
            request = event.request
            arrived[str(request.AffectedSOPInstanceUID)] = (
                str(event.context.transfer_syntax),
                request.DataSet.getvalue(),
            )
        return status

    ae = AE(ae_title="WS1")
    ae.maximum_pdu_size = max_pdu
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    ae.add_requested_context(model, EXPLICIT)
    for sop_class, syntaxes in contexts:
        ae.add_requested_context(sop_class, list(syntaxes))
    link = ae.associate(
        *door.address,
        ae_title="RADKEEP",
        ext_neg=[
            *([build_role(name, scp_role=True) for name, _ in contexts] if roles else []),
            *extended,
        ],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert link.is_established
    answers = list(link.send_c_get(asked, model))
    link.release()
    return arrived, [status for status, _ in answers], [found for _, found in answers]


def counts(status: Dataset) -> tuple[int, int, int]:
    return (
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )


@pytest.mark.parametrize("max_pdu", [0, 16_382, 4_096])
def test_get_brings_what_is_stored(
    clinic: Door, held: dict[str, bytes], max_pdu: int, audit: MemoryAuditLog
) -> None:
    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    arrived, statuses, _ = get(clinic, asked, [(CT, [EXPLICIT])], max_pdu=max_pdu)
    assert {uid: content for uid, (_, content) in arrived.items()} == {
        uid: content for uid, content in held.items() if uid.startswith(f"{STUDY}.1.")
    }
    assert [one.Status for one in statuses] == [0xFF00] * 5 + [0]
    assert [one.NumberOfRemainingSuboperations for one in statuses[:-1]] == [5, 4, 3, 2, 1]
    assert "NumberOfRemainingSuboperations" not in statuses[-1]
    assert counts(statuses[-1]) == (6, 0, 0)
    (event,) = audit.of(EventId.INSTANCES_ACCESSED)
    assert (event.study, event.count, event.detail) == (STUDY, 6, {"purpose": "c-get"})


def test_what_has_no_context_fails_and_the_rest_arrives(clinic: Door) -> None:
    arrived, statuses, found = get(
        clinic, wanted("STUDY", StudyInstanceUID=STUDY), [(CT, [EXPLICIT])]
    )
    assert len(arrived) == 6
    assert statuses[-1].Status == 0xB000
    assert counts(statuses[-1]) == (6, 2, 0)
    assert found[-1].FailedSOPInstanceUIDList == [f"{STUDY}.2.1", f"{STUDY}.3.1"]


def test_every_syntax_has_its_context(clinic: Door, held: dict[str, bytes]) -> None:
    arrived, statuses, _ = get(
        clinic,
        wanted("STUDY", StudyInstanceUID=STUDY),
        [(CT, [EXPLICIT]), (CT, [JPEG]), (SR, [EXPLICIT])],
    )
    assert {uid: content for uid, (_, content) in arrived.items()} == held
    assert arrived[f"{STUDY}.3.1"][0] == JPEG
    assert counts(statuses[-1]) == (8, 0, 0)


def test_headers_are_rewritten_where_nothing_is_lost(clinic: Door, held: dict[str, bytes]) -> None:
    asked = wanted("IMAGE", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1",
                   SOPInstanceUID=[f"{STUDY}.1.1", f"{STUDY}.1.3"])  # fmt: skip
    arrived, statuses, _ = get(clinic, asked, [(CT, [IMPLICIT])])
    assert counts(statuses[-1]) == (2, 0, 0)
    for uid, (syntax, content) in arrived.items():
        assert syntax == IMPLICIT
        assert content[-60_000:] == held[uid][-60_000:]


@pytest.mark.parametrize(
    ("syntaxes", "accepted"),
    [
        ([IMPLICIT, EXPLICIT], IMPLICIT),
        ([EXPLICIT, IMPLICIT], EXPLICIT),
    ],
)
def test_of_one_context_the_requester_s_first_syntax_is_taken(
    clinic: Door, syntaxes: list[str], accepted: str
) -> None:
    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    arrived, statuses, _ = get(clinic, asked, [(CT, syntaxes)])
    assert {syntax for syntax, _ in arrived.values()} == {accepted}
    assert counts(statuses[-1]) == (6, 0, 0)


def test_private_and_new_classes_come_and_go(
    clinic: Door, catalog: Catalog, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = ["1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.1.1.999.1"]
    sets = [data_set(1, sop_class=name, series=7 + at) for at, name in enumerate(classes)]
    catalog.commit("a" * 32, 2, [shelf.put(one, EXPLICIT) for one in sets])
    study = wanted("STUDY", StudyInstanceUID=STUDY)
    arrived, statuses, _ = get(clinic, study, [(name, [EXPLICIT]) for name in classes])
    assert sorted(content for _, content in arrived.values()) == sorted(sets)
    assert counts(statuses[-1]) == (2, 8, 0)
    monkeypatch.setattr("pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE", True)
    with receiver(clinic, [(name, [EXPLICIT]) for name in classes]) as got:
        statuses, _ = move(clinic, study)
    assert {str(e.request.AffectedSOPClassUID) for e in got} >= set(classes)
    assert counts(statuses[-1]) == (10, 0, 0)


def test_relational_retrieval_if_agreed(clinic: Door) -> None:
    series = wanted("SERIES", SeriesInstanceUID=f"{STUDY}.1")
    assert get(clinic, series, [(CT, [EXPLICIT])])[1][-1].Status == 0xA900
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = GET, b"\1"
    arrived, statuses, _ = get(clinic, series, [(CT, [EXPLICIT])], extended=[item])
    assert statuses[-1].Status == 0
    assert len(arrived) == 6


@pytest.mark.parametrize(
    ("status", "final", "expected"),
    [(0xB000, 0xB000, (0, 0, 6)), (0xA700, 0xA702, (0, 6, 0)), (0xC000, 0xA702, (0, 6, 0))],
)
def test_the_peer_s_statuses_are_counted(
    clinic: Door, status: int, final: int, expected: tuple[int, int, int]
) -> None:
    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    _, statuses, _ = get(clinic, asked, [(CT, [EXPLICIT])], answer=lambda _: status)
    assert statuses[-1].Status == final
    assert counts(statuses[-1]) == expected


def test_cancel_stops_a_get(clinic: Door) -> None:
    def cancel(event: Event) -> int:
        event.assoc.send_c_cancel(1, query_model=GET)
        return 0

    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    arrived, statuses, _ = get(clinic, asked, [(CT, [EXPLICIT])], answer=cancel)
    assert statuses[-1].Status == 0xFE00
    assert 0 < len(arrived) < 6
    assert sum(counts(statuses[-1])) + statuses[-1].NumberOfRemainingSuboperations == 6


@pytest.mark.parametrize(
    ("model", "asked", "status"),
    [
        (GET, wanted("STUDY", StudyInstanceUID="1.2.99"), 0),
        (GET, wanted("STUDY", StudyInstanceUID=""), 0xA900),
        (GET, wanted("PATIENT", PatientID="P1"), 0xA900),
        (GET, wanted("SERIES", SeriesInstanceUID=f"{STUDY}.1"), 0xA900),
        (PATIENT_GET, wanted("STUDY", StudyInstanceUID=STUDY), 0xA900),
        (PATIENT_GET, wanted("STUDY", StudyInstanceUID=STUDY, PatientID="P2"), 0),
        (PATIENT_GET, wanted("PATIENT", PatientID="P1"), 0xB000),
    ],
)
def test_what_a_get_may_name(clinic: Door, model: str, asked: Dataset, status: int) -> None:
    arrived, statuses, _ = get(clinic, asked, [(CT, [EXPLICIT])], model=model)
    assert statuses[-1].Status == status
    assert len(arrived) == (6 if status == 0xB000 else 0)


def test_without_the_role_nothing_can_be_sent(clinic: Door) -> None:
    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    arrived, statuses, _ = get(clinic, asked, [(CT, [EXPLICIT])], roles=False)
    assert arrived == {}
    assert statuses[-1].Status == 0xA702
    assert counts(statuses[-1]) == (0, 6, 0)


def test_move_and_get_are_rights_of_their_own(clinic: Door) -> None:
    asked = wanted("STUDY", StudyInstanceUID=STUDY)
    clinic.admission.permissions = EVERYTHING - {Permission.STUDY_PULL}
    assert get(clinic, asked, [(CT, [EXPLICIT])])[1][-1].Status == 0x0124
    clinic.admission.permissions = EVERYTHING - {Permission.STUDY_SEND}
    with receiver(clinic):
        assert move(clinic, asked)[0][-1].Status == 0x0124


def test_damage_at_the_front_is_one_failure(clinic: Door, shelf: Shelf) -> None:
    shelf.damaged.add(2)
    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    arrived, statuses, found = get(clinic, asked, [(CT, [EXPLICIT])])
    assert len(arrived) == 5
    assert counts(statuses[-1]) == (5, 1, 0)
    assert found[-1].FailedSOPInstanceUIDList == f"{STUDY}.1.3"


def test_damage_far_inside_ends_the_association(
    clinic: Door, catalog: Catalog, shelf: Shelf
) -> None:
    catalog.commit("a" * 32, 2, [shelf.put(data_set(1, series=9, size=20_000_000), EXPLICIT)])
    shelf.damaged.add(8)
    shelf.damaged_from = 12_000_000
    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.9")
    arrived, statuses, _ = get(clinic, asked, [(CT, [EXPLICIT])], max_pdu=0)
    assert arrived == {}
    assert all(one.get("Status") not in (0, 0xFF00) for one in statuses)
    assert get(clinic, wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1"),
               [(CT, [EXPLICIT])])[1][-1].Status == 0  # fmt: skip


@contextmanager
def receiver(
    door: Door,
    contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, [EXPLICIT]),),
    answer: Callable[[Event], int] = lambda _: 0,
) -> Iterator[list[Event]]:
    """Run a destination called DEST."""
    got: list[Event] = []

    def keep(event: Event) -> int:
        got.append(event)
        return answer(event)

    ae = AE(ae_title="DEST")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    for sop_class, syntaxes in contexts:
        ae.add_supported_context(sop_class, list(syntaxes))
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    port = server.socket.getsockname()[1]
    door.destinations.places["DEST"] = Place("DEST", "127.0.0.1", port)
    try:
        yield got
    finally:
        server.shutdown()


def move(
    door: Door, asked: Dataset, to: str = "DEST"
) -> tuple[list[Dataset], list[Dataset | None]]:
    ae = AE(ae_title="WS1")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    ae.add_requested_context(MOVE, EXPLICIT)
    link = ae.associate(*door.address, ae_title="RADKEEP")
    assert link.is_established
    answers = list(link.send_c_move(asked, to, MOVE))
    link.release()
    return [status for status, _ in answers], [found for _, found in answers]


def test_move_sends_to_a_registered_destination(
    clinic: Door, held: dict[str, bytes], audit: MemoryAuditLog
) -> None:
    everything = [(CT, [EXPLICIT, JPEG]), (SR, [EXPLICIT])]
    with receiver(clinic, everything) as got:
        statuses, _ = move(clinic, wanted("STUDY", StudyInstanceUID=STUDY))
    assert {
        str(e.request.AffectedSOPInstanceUID): e.request.DataSet.getvalue() for e in got
    } == held
    assert [one.Status for one in statuses] == [0xFF00] * 7 + [0]
    assert [one.NumberOfRemainingSuboperations for one in statuses[:-1]] == [7, 6, 5, 4, 3, 2, 1]
    assert counts(statuses[-1]) == (8, 0, 0)
    assert {e.assoc.requestor.ae_title for e in got} == {"RADKEEP"}
    assert len({id(e.assoc) for e in got}) == 1
    assert got[0].request.MoveOriginatorApplicationEntityTitle == "WS1"
    assert got[0].request.MoveOriginatorMessageID == 1
    (event,) = audit.of(EventId.INSTANCES_ACCESSED)
    assert event.detail == {"purpose": "c-move"}


def test_move_counts_what_the_destination_refuses(clinic: Door) -> None:
    with receiver(clinic) as got:
        statuses, found = move(clinic, wanted("STUDY", StudyInstanceUID=STUDY))
    assert len(got) == 6
    assert statuses[-1].Status == 0xB000
    assert counts(statuses[-1]) == (6, 2, 0)
    assert found[-1].FailedSOPInstanceUIDList == [f"{STUDY}.2.1", f"{STUDY}.3.1"]


def test_move_to_nowhere(clinic: Door, audit: MemoryAuditLog) -> None:
    statuses, _ = move(clinic, wanted("STUDY", StudyInstanceUID=STUDY), "NOBODY")
    assert [one.Status for one in statuses] == [0xA801]
    (refused,) = audit.of(EventId.INSTANCES_ACCESSED)
    assert (refused.type, refused.detail["code"]) == (EventType.REFUSED, "not-found")


def test_who_may_not_send_does_not_learn_which_destinations_there_are(clinic: Door) -> None:
    clinic.admission.permissions = EVERYTHING - {Permission.STUDY_SEND}
    asked = wanted("STUDY", StudyInstanceUID=STUDY)
    known, unknown = (move(clinic, asked, title)[0][-1] for title in ("DEST", "NOBODY"))
    assert known.Status == unknown.Status != 0xA801


def test_move_to_a_closed_port(clinic: Door) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = Place("DEST", "127.0.0.1", taken.getsockname()[1])
        clinic.destinations.places["DEST"] = place
        statuses, _ = move(clinic, wanted("STUDY", StudyInstanceUID=STUDY))
    assert statuses[-1].Status == 0xA702
    assert counts(statuses[-1]) == (0, 8, 0)
    assert statuses[-1].ErrorComment == "the peer cannot be reached"


def test_no_plaintext_where_no_zone_allows_it(clinic: Door) -> None:
    clinic.destinations.forbidden.add("127.0.0.1")
    with receiver(clinic) as got:
        statuses, _ = move(clinic, wanted("STUDY", StudyInstanceUID=STUDY))
    assert got == []
    assert statuses[-1].Status == 0xA702


def test_a_destination_that_breaks_off_gets_the_rest_anew(clinic: Door) -> None:
    def fail(event: Event) -> int:
        if str(event.request.AffectedSOPInstanceUID).endswith(".2"):
            event.assoc.abort()
        return 0

    asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    with receiver(clinic, answer=fail) as got:
        statuses, found = move(clinic, asked)
    assert counts(statuses[-1]) == (5, 1, 0)
    assert found[-1].FailedSOPInstanceUIDList == f"{STUDY}.1.2"
    assert len(got) == 6


def test_the_next_move_goes_over_the_same_association(clinic: Door) -> None:
    series = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    image = wanted("IMAGE", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1",
                   SOPInstanceUID=f"{STUDY}.1.2")  # fmt: skip
    with receiver(clinic, [(CT, [EXPLICIT]), (SR, [EXPLICIT])]) as got:
        for asked in (series, image):
            statuses, _ = move(clinic, asked)
            assert statuses[-1].Status == 0
        assert len(got) == 7
        assert len({id(e.assoc) for e in got}) == 1
        report = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.2")
        assert move(clinic, report)[0][-1].Status == 0  # was not proposed: another association
        assert len({id(e.assoc) for e in got}) == 2
        got[-1].assoc.abort()  # the peer ends it while it waits
        assert counts(move(clinic, report)[0][-1]) == (1, 0, 0)
        assert len({id(e.assoc) for e in got}) == 3
        clinic.destinations.forbidden.add("127.0.0.1")
        assert move(clinic, report)[0][-1].Status == 0xA702
        assert len(got) == 9


def test_a_requester_that_vanishes_ends_the_move(clinic: Door) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(_: Event) -> int:
        entered.set()
        leave.wait(10)
        return 0

    ae = AE(ae_title="WS1")
    ae.dimse_timeout = ae.network_timeout = 3
    ae.add_requested_context(MOVE, EXPLICIT)
    with receiver(clinic, answer=wait) as got:
        link = ae.associate(*clinic.address, ae_title="RADKEEP")
        asked = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
        answers = link.send_c_move(asked, "DEST", MOVE)
        caller = threading.Thread(target=lambda: list(answers))
        caller.start()
        assert entered.wait(10)
        link.abort()
        caller.join(10)
        clinic.loop.run(clinic.server.close())  # ends though the destination still thinks
        leave.set()
    assert len(got) < 6


def test_our_own_requestor(door: Door) -> None:
    host, port = door.address

    def refuse(address: str) -> None:
        raise ForbiddenError(address)

    with pytest.raises(ForbiddenError, match=r"127\.0\.0\.1"):
        Requestor(
            Proposal(host=host, port=port, called="X", calling="US", contexts=[], admit=refuse)
        )

    proposal = Proposal(
        host=host, port=port, called="RADKEEP", calling="US",
        contexts=[("1.2.840.10008.1.1", [IMPLICIT]), (CT, [EXPLICIT])],
    )  # fmt: skip
    with Requestor(proposal) as link:
        assert link.echo() == 0
        assert link.echo() == 0
        assert link.alive
    assert not link.alive
    with pytest.raises(PeerError, match="1/1/3"):
        Requestor(Proposal(host=host, port=port, called="OTHER", calling="US", contexts=[]))


def test_a_peer_that_says_nothing(door: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        with pytest.raises(PeerError, match="in time"):
            Requestor(
                Proposal(host=host, port=port, called="X", calling="US", contexts=[], answer=0.1)
            )
        with pytest.raises(PeerError, match="nobody waits"):
            Requestor(
                Proposal(
                    host=host, port=port, called="X", calling="US", contexts=[], stop=lambda: True
                )
            )


def test_a_peer_that_talks_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()

        def talk() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1_000)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.recv(1_000)

        talker = threading.Thread(target=talk)
        talker.start()
        with pytest.raises(PeerError, match="broke the protocol"):
            Requestor(Proposal(host=host, port=port, called="X", calling="US", contexts=[]))
        talker.join()
