# SPDX-License-Identifier: Apache-2.0
"""The audit of receiving: Begin once a study, Transferred for all that was acknowledged."""

import threading

import pytest
from ingest_house import ROOT, STUDY, House, data_set

from radkeep.audit.tree import merkle_root
from radkeep.dicom.head import InstanceHead
from radkeep.domain.errors import RadkeepError
from radkeep.ingest import transfers

OTHER = f"{ROOT}.2"


def digests(house: House) -> list[bytes]:
    return [InstanceHead.decode(head).digest for head, _ in house.archive.records]


def test_one_begin_for_each_study_of_a_transfer() -> None:
    house = House()
    first, second = house.transfer(session="a"), house.transfer(session="b")
    for transfer, number, study in (
        (first, 1, STUDY),
        (first, 2, STUDY),
        (first, 3, OTHER),
        (second, 4, STUDY),
    ):
        house.receive(transfer, data_set(number, study=study)).result(0)
    assert [(event.session, event.study) for event in house.begun()] == [
        ("a", STUDY),
        ("a", OTHER),
        ("b", STUDY),
    ]


def test_transferred_counts_and_names_what_was_acknowledged() -> None:
    house = House()
    transfer = house.transfer()
    for number in range(1, 6):
        house.receive(transfer, data_set(number)).result(0)
    assert house.transferred() == []
    house.store.flush()
    house.store.flush()
    (told,) = house.transferred()
    assert told.count == 5
    assert told.digest == merkle_root(digests(house)).hex()
    assert told.study == STUDY
    head = InstanceHead.decode(house.archive.records[0][0])
    assert told.detail == {"protocol": "dimse", "transfer": head.origin["transfer"]}


def test_each_flush_tells_only_what_is_new() -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set(1)).result(0)
    house.store.flush()
    house.receive(transfer, data_set(2)).result(0)
    transfer.close()
    house.store.flush()
    assert [event.count for event in house.transferred()] == [1, 1]
    assert house.transferred()[1].digest == merkle_root(digests(house)[1:]).hex()


def test_many_instances_are_told_without_waiting_for_a_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfers, "MAX_INSTANCES", 3)
    house = House()
    transfer = house.transfer()
    for number in range(1, 8):
        house.receive(transfer, data_set(number)).result(0)
    assert [event.count for event in house.transferred()] == [3, 3]
    transfer.close()
    assert [event.count for event in house.transferred()] == [3, 3, 1]


def test_an_answer_after_the_end_is_still_told() -> None:
    house = House()
    house.archive.late = True
    transfer = house.transfer()
    receipts = [house.receive(transfer, data_set(number)) for number in (1, 2)]
    transfer.close()
    assert transfer.is_closed()
    assert house.transferred() == []
    house.archive.answer()
    assert all(receipt.done() for receipt in receipts)
    assert sum(event.count for event in house.transferred()) == 2
    house.store.flush()
    assert sum(event.count for event in house.transferred()) == 2


def test_a_refused_instance_is_counted_nowhere() -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set(1)).result(0)
    with pytest.raises(RadkeepError):
        house.receive(transfer, data_set(2)[:-9])
    transfer.close()
    assert [event.count for event in house.transferred()] == [1]
    assert [event.study for event in house.refused()] == [STUDY]


def test_a_closed_transfer_is_forgotten_by_the_store() -> None:
    house = House()
    transfer = house.transfer()
    transfer.close()
    house.store.flush()
    assert house.audit.events == []


def test_flushing_and_arriving_at_once_lose_nothing() -> None:
    house = House()
    transfer = house.transfer()
    ended = threading.Event()

    def flush() -> None:
        while not ended.is_set():
            house.store.flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    for number in range(1, 201):
        house.receive(transfer, data_set(number, pixels=b"12")).result(0)
    ended.set()
    flusher.join()
    transfer.close()
    assert sum(event.count for event in house.transferred()) == 200
