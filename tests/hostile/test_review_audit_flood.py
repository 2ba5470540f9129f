# SPDX-License-Identifier: Apache-2.0
"""A sender of nothing but nonsense does not fill the audit log, and none of it goes uncounted."""

from collections.abc import Callable

import pytest

from radkeep.audit.events import Event, EventType
from radkeep.domain.errors import InstanceConflictError, TooLargeError, UndecodableError
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.ingest.transfers import MAX_REFUSALS, Transfer
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.identity import FakeClock

FLOOD = 1_000


@pytest.fixture
def log() -> MemoryAuditLog:
    return MemoryAuditLog()


@pytest.fixture
def transfer(log: MemoryAuditLog) -> Transfer:
    actor = actors.system("gate", Permission.INSTANCE_STORE, organization="org")
    return Transfer(
        actor, protocol="dimse", audit=log, clock=FakeClock(), ended=lambda _transfer: None
    )


def counted(events: list[Event], reason: str) -> int:
    return sum(event.count or 1 for event in events if event.detail["reason"] == reason)


@pytest.mark.parametrize("end", [Transfer.flush, Transfer.close])
def test_refusals_are_told_singly_then_in_sum(
    log: MemoryAuditLog, transfer: Transfer, end: Callable[[Transfer], None]
) -> None:
    for _ in range(FLOOD):
        transfer.refused(UndecodableError("nonsense"))
    transfer.refused(TooLargeError("long"))
    assert len(log.events) == MAX_REFUSALS + 1
    end(transfer)
    assert len(log.events) == MAX_REFUSALS + 2
    assert counted(log.events, UndecodableError.code) == FLOOD
    assert counted(log.events, TooLargeError.code) == 1
    end(transfer)
    assert len(log.events) == MAX_REFUSALS + 2


def test_what_was_kept_in_quarantine_is_always_told(
    log: MemoryAuditLog, transfer: Transfer
) -> None:
    for _ in range(FLOOD):
        transfer.refused(InstanceConflictError("other content"))
    kinds = [event.type for event in log.events]
    assert kinds == [EventType.QUARANTINED] * FLOOD


def test_what_ends_after_the_transfer_is_told(log: MemoryAuditLog, transfer: Transfer) -> None:
    for _ in range(MAX_REFUSALS):
        transfer.refused(UndecodableError("nonsense"))
    transfer.close()
    transfer.refused(UndecodableError("late"))
    assert counted(log.events, UndecodableError.code) == MAX_REFUSALS + 1
