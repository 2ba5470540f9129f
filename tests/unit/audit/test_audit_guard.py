# SPDX-License-Identifier: Apache-2.0
"""A refusal is in the log before anyone hears of it."""

import pytest
from audit_logs import FixedClock

from radkeep.audit.events import Action, EventId, EventType, Outcome
from radkeep.audit.guard import guarded
from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.errors import AuditUnavailableError, ForbiddenError
from radkeep.testing.audit import MemoryAuditLog

ACTOR = Actor(
    kind=ActorKind.PERSON,
    id="account-1",
    name="a@clinic.example",
    organization="org-1",
    permissions=frozenset(),
    session="session-1",
)


def test_a_refusal_is_recorded_and_goes_on() -> None:
    audit = MemoryAuditLog()
    with (
        pytest.raises(ForbiddenError),
        guarded(
            audit,
            FixedClock(),
            ACTOR,
            EventId.EXPORT,
            action=Action.READ,
            study="1.2",
            detail={"to": "disk"},
        ),
    ):
        raise ForbiddenError("no")
    (event,) = audit.of(EventId.EXPORT)
    assert (event.type, event.outcome) == (EventType.REFUSED, Outcome.SERIOUS_FAILURE)
    assert (event.actor_id, event.study, event.action) == ("account-1", "1.2", Action.READ)
    assert event.detail == {"to": "disk", "code": "not-permitted"}


def test_success_and_bugs_are_not_refusals() -> None:
    audit = MemoryAuditLog()
    with guarded(audit, FixedClock(), ACTOR, EventId.EXPORT):
        pass
    with pytest.raises(ZeroDivisionError), guarded(audit, FixedClock(), ACTOR, EventId.EXPORT):
        raise ZeroDivisionError
    assert audit.events == []


def test_a_refusal_that_cannot_be_audited_says_so() -> None:
    audit = MemoryAuditLog()
    audit.available = False
    for error in (ForbiddenError("no"), AuditUnavailableError("none")):
        with (
            pytest.raises(AuditUnavailableError),
            guarded(audit, FixedClock(), ACTOR, EventId.EXPORT),
        ):
            raise error
