# SPDX-License-Identifier: Apache-2.0
"""Refusals at the door: somebody known asks for what their permissions do not give.

Invariant: each is in the audit log before it is answered; the same one again within a minute is
not told again, so that asking does not fill the log.
"""

from datetime import timedelta
from typing import Final

from radkeep.audit.events import EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.identity.throttle import Occasions

AGAIN: Final = timedelta(minutes=1)
_MAX_UID: Final = 64  # characters; what is longer names no study


class Refusals:
    """Tells the audit log who was refused what. Thread-safe."""

    def __init__(self, *, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._told = Occasions(AGAIN)

    def note(self, actor: Actor, permission: str, study: str) -> None:
        """Record that ``actor`` lacks ``permission``, asked for on ``study`` if it is not "".

        Raises:
            AuditUnavailableError: the log cannot append. The actor stays refused.
        """
        now, study = self._clock.now(), study[:_MAX_UID]
        if not self._told.due(f"{actor.kind} {actor.id} {permission} {study}", now):
            return
        self._audit.append(
            event_by(
                actor,
                EventId.SECURITY_ALERT,
                time=now,
                type=EventType.REFUSED,
                outcome=Outcome.MINOR_FAILURE,
                study=study,
                detail={"deed": "web.request", "reason": f"no permission {permission}"},
            )
        )
