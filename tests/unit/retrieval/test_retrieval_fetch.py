# SPDX-License-Identifier: Apache-2.0
"""Who gets what, and what the log says before they do."""

import threading

import pytest
from retrieval_house import House, joined, reader, real

from radkeep.audit.events import EventId, EventType
from radkeep.dicom.query import ALL, Level, Match, Query
from radkeep.domain.errors import (
    AuditUnavailableError,
    ForbiddenError,
    IntegrityError,
    NotFoundError,
)
from radkeep.domain.uid import Uid
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.retrieval import accesses

FILE = real("CT_small.dcm")
NOWHERE = Uid("1.2.3.4.5")


@pytest.fixture
def house() -> House:
    return House()


def accessed(house: House) -> list[dict[str, object]]:
    return [
        {"actor": each.actor_id, "session": each.session, "count": each.count}
        for each in house.audit.of(EventId.INSTANCES_ACCESSED)
        if each.type is not EventType.REFUSED
    ]


def test_a_reader_gets_what_was_stored_and_the_log_says_so_first(house: House) -> None:
    study, series, instance = house.keep(FILE.data)
    for names in ((), (series,), (series, instance), (None, instance)):
        (found,) = house.fetch.instances(reader(), study, *names, purpose="wado-rs")
        assert found.stored.sop_instance == instance
    (told,) = house.audit.of(EventId.INSTANCES_ACCESSED)
    assert (told.study, told.patient, told.count) == (study, "1CT1", 1)
    assert told.detail == {"purpose": "wado-rs"}


def test_without_the_right_to_read_nothing_is_looked_up(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    actor = actors.system("sam", Permission.STUDY_QUERY, organization="org")
    with pytest.raises(ForbiddenError):
        house.fetch.instances(actor, study, purpose="wado-rs")
    with pytest.raises(ForbiddenError):
        house.fetch.instances(actor, NOWHERE, purpose="wado-rs")
    refusals = house.audit.of(EventId.INSTANCES_ACCESSED)
    assert [each.type for each in refusals] == [EventType.REFUSED] * 2


def test_a_study_of_others_looks_like_one_that_does_not_exist(house: House) -> None:
    study, series, instance = house.keep(FILE.data, organization="other")
    messages = set()
    for asked in ((study,), (study, series), (study, series, instance), (NOWHERE,)):
        with pytest.raises(NotFoundError) as refused:
            house.fetch.instances(reader(), *asked, purpose="wado-rs")
        messages.add(str(refused.value))
    assert len(messages) == 1
    assert {each.type for each in house.audit.events} == {EventType.REFUSED}
    (found,) = house.fetch.instances(reader("other"), study, purpose="wado-rs")
    assert found.stored.sop_instance == instance


def test_the_wrong_series_or_instance_is_not_found(house: House) -> None:
    study, series, instance = house.keep(FILE.data)
    for names in ((NOWHERE,), (series, NOWHERE), (NOWHERE, instance)):
        with pytest.raises(NotFoundError):
            house.fetch.instances(reader(), study, *names, purpose="wado-rs")


def test_one_entry_a_quarter_of_an_hour_for_each_actor_session_and_study(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    other, _, _ = house.keep(real("MR_small.dcm").data)
    for _ in range(3):
        house.fetch.instances(reader(), study, purpose="wado-rs")
    assert len(accessed(house)) == 1
    house.fetch.instances(reader(), other, purpose="wado-rs")
    house.fetch.instances(reader(name="rafa"), study, purpose="wado-rs")
    assert len(accessed(house)) == 3
    house.clock.pass_(minutes=14, seconds=59)
    house.fetch.instances(reader(), study, purpose="wado-rs")
    assert len(accessed(house)) == 3
    house.clock.pass_(seconds=1)
    house.fetch.instances(reader(), study, purpose="wado-rs")
    assert len(accessed(house)) == 4


def test_without_an_audit_log_no_byte_leaves(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    house.audit.available = False
    with pytest.raises(AuditUnavailableError):
        house.fetch.instances(reader(), study, purpose="wado-rs")
    house.audit.available = True
    house.fetch.instances(reader(), study, purpose="wado-rs")
    assert len(accessed(house)) == 1  # the failed one is not remembered as told


def test_what_is_remembered_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesses, "_MAX_REMEMBERED", 4)
    study, _, _ = house.keep(FILE.data)
    for number in range(20):
        house.fetch.instances(reader(name=f"actor-{number}"), study, purpose="wado-rs")
    assert len(accessed(house)) == 20


def test_many_threads_read_at_once(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    read: list[bytes] = []

    def work() -> None:
        (found,) = house.fetch.instances(reader(), study, purpose="wado-rs")
        read.append(joined(found.data_set()))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(read)) == 1
    assert len(read) == 6


def test_a_damaged_record_is_refused_and_the_others_are_served(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    other, _, _ = house.keep(real("MR_small.dcm").data)
    house.archive.damaged = {0}
    (bad,) = house.fetch.instances(reader(), study, purpose="wado-rs")
    with pytest.raises(IntegrityError):
        joined(bad.part10())
    (good,) = house.fetch.instances(reader(), other, purpose="wado-rs")
    assert len(joined(good.part10())) == good.part10_length()


def test_a_record_of_another_instance_is_never_given_out(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    house.keep(real("MR_small.dcm").data)
    house.archive.records.reverse()  # as a thief of the disk might do
    (found,) = house.fetch.instances(reader(), study, purpose="wado-rs")
    with pytest.raises(IntegrityError):
        joined(found.part10())
    with pytest.raises(IntegrityError):
        found.metadata("x")


def test_a_search_sees_one_organization_and_is_audited(house: House) -> None:
    study, _, _ = house.keep(FILE.data)
    house.keep(real("MR_small.dcm").data, organization="other")
    query = Query(filters=(Match.parse([0x00100010], "compressed*"),), include=ALL)
    page = house.search.run(reader(), Level.STUDY, query, protocol="qido-rs")
    assert len(page.rows) == 1
    assert str(study) in page.rows[0].decode()
    (told,) = house.audit.of(EventId.QUERY)
    assert told.count == 1
    assert told.detail == {"protocol": "qido-rs", "level": "study", "keys": "PatientName"}


def test_the_log_of_a_search_holds_no_searched_value(house: House) -> None:
    house.keep(FILE.data)
    query = Query(filters=(Match.parse([0x00100010], "Canary*"),))
    house.search.run(reader(), Level.STUDY, query, protocol="qido-rs")
    assert "Canary" not in str(house.audit.events)


def test_a_search_needs_the_right_and_the_log(house: House) -> None:
    house.keep(FILE.data)
    with pytest.raises(ForbiddenError):
        house.search.run(
            actors.system("x", organization="org"), Level.STUDY, Query(), protocol="c-find"
        )
    (told,) = house.audit.of(EventId.QUERY)
    assert told.type is EventType.REFUSED
    house.audit.available = False
    with pytest.raises(AuditUnavailableError):
        house.search.run(reader(), Level.STUDY, Query(), protocol="c-find")
