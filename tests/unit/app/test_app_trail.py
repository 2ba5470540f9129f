# SPDX-License-Identifier: Apache-2.0
"""Reading the audit log: who may, which entries, and the entry about it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from app_keeper import PAYLOAD, SIGNING, boot, reader

from radkeep.app import keeper
from radkeep.app.trail import MAX_PAGE_BYTES, PAGE, Asked, Told, Trail, read_page
from radkeep.audit.erasure import erase
from radkeep.audit.events import Event, EventId
from radkeep.crypto.sign import SigningKey
from radkeep.domain.actor import Actor
from radkeep.domain.errors import AuditUnavailableError, ForbiddenError
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.testing.audit import MemoryAuditLog, sample_event
from radkeep.testing.identity import FakeClock


def made(number: int, organization: str, *, text: str = "") -> Event:
    return Event(
        event=EventId.QUERY,
        time=sample_event(number).time,
        actor_kind="person",
        actor_id=f"{number}",
        organization=organization,
        detail={"text": text} if text else {},
    )


def officer(organization: str = "a") -> Actor:
    return actors.system("officer", Permission.AUDIT_READ, organization=organization)


def log_of(folder: Path, events: Sequence[Event]) -> None:
    with keeper.open_log(boot(folder), "keeper") as log:
        for start in range(0, len(events), 50):
            log.append([("web", event) for event in events[start : start + 50]])


def trail(folder: Path, audit: MemoryAuditLog | None = None) -> Trail:
    def read(asked: Asked) -> Sequence[Told]:
        return read_page(reader(folder), asked)

    return Trail(read, policy=Policy(), audit=audit or MemoryAuditLog(), clock=FakeClock())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of 200 entries: every fifth is of organization b."""
    folder = tmp_path_factory.mktemp("log")
    log_of(folder, [made(number, "b" if number % 5 == 0 else "a") for number in range(200)])
    return folder


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64, 160, 161, 1000])
def test_the_last_entries_of_the_organization_in_order(folder: Path, count: int) -> None:
    mine = [number for number in range(200) if number % 5]
    found = trail(folder).tail(officer(), count)
    assert [index for index, _, _ in found] == (mine[-count:] if count else [])
    assert {event.organization for _, _, event in found} <= {"a"}
    assert {process for _, process, _ in found} <= {"web"}


def test_the_host_sees_all_and_a_small_clinic_its_own(folder: Path) -> None:
    everything = trail(folder).tail(actors.local(0), 1000)
    assert [index for index, _, _ in everything] == list(range(200))
    found = trail(folder).tail(officer("b"), 3)
    assert [index for index, _, _ in found] == [185, 190, 195]
    assert trail(folder).tail(officer("c"), 5) == []


def test_reading_is_in_the_log_before_anything_is_told(folder: Path) -> None:
    audit = MemoryAuditLog()
    trail(folder, audit).tail(officer(), 1)
    (told,) = audit.of(EventId.AUDIT_LOG_USED)
    assert told.actor_id == "officer"
    audit.available = False
    with pytest.raises(AuditUnavailableError):
        trail(folder, audit).tail(officer(), 1)


def test_who_may_not_read_it_reads_nothing(folder: Path) -> None:
    with pytest.raises(ForbiddenError):
        trail(folder).tail(actors.system("x", Permission.STUDY_READ, organization="a"), 1)


@pytest.mark.parametrize("asked", [Asked(-1, 5), Asked(0, 5), Asked(3, 5), Asked(999, 999)])
def test_pages_are_within_their_bounds(folder: Path, asked: Asked) -> None:
    page = read_page(reader(folder), asked)
    end = 200 if asked.before < 0 else min(asked.before, 200)
    assert [each.index for each in page] == list(range(max(end - min(asked.count, PAGE), 0), end))


def test_long_entries_make_short_pages(tmp_path: Path) -> None:
    events = [made(number, "a", text="x" * 20_000) for number in range(40)]
    log_of(tmp_path, events)
    page = read_page(reader(tmp_path), Asked(-1, PAGE))
    assert 1 < len(page) < MAX_PAGE_BYTES // 20_000 + 1
    assert page[-1].index == 39
    found = trail(tmp_path).tail(officer(), 40)
    assert [event for _, _, event in found] == events


def test_erased_entries_are_passed_over(tmp_path: Path) -> None:
    log_of(tmp_path, [made(number, "a") for number in range(120)])
    erase(tmp_path, range(20, 110), signing=SigningKey.from_bytes(SIGNING))
    assert PAYLOAD
    found = trail(tmp_path).tail(officer(), 1000)
    assert [index for index, _, _ in found] == [*range(20), *range(110, 120)]


def test_an_empty_log_has_an_empty_end(tmp_path: Path) -> None:
    log_of(tmp_path, [])
    assert trail(tmp_path).tail(officer(), 5) == []
