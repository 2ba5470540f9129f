# SPDX-License-Identifier: Apache-2.0
"""The audit of looking: one entry an actor, session and study of an organization each 15 minutes.

Invariant: the entry is durable before the first byte of the study leaves.
"""

from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from radkeep.audit.events import Action, EventId, event_by
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.uid import Uid

WINDOW: Final = timedelta(minutes=15)
_MAX_REMEMBERED: Final = 100_000  # actor, session and study; beyond it the old are told again


class Accesses:
    """Tells the audit log who looked at which study. Thread-safe."""

    def __init__(self, *, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._lock = Lock()
        self._told: dict[tuple[str, str, str, Uid, str], datetime] = {}

    def note(self, actor: Actor, study: Uid, *, patient: str, count: int, purpose: str) -> None:
        """Return once the access is in the log, or was within the last quarter of an hour.

        Raises:
            AuditUnavailableError: the access cannot be audited.
        """
        now = self._clock.now()
        # The host's operator serves all organizations, which may hold the same study.
        key = (actor.organization, actor.id, actor.session, study, purpose)
        with self._lock:
            told = self._told.get(key)
        if told is not None and now - told < WINDOW:
            return
        self._audit.append(
            event_by(
                actor,
                EventId.INSTANCES_ACCESSED,
                time=now,
                action=Action.READ,
                study=str(study),
                patient=patient,
                count=count,
                detail={"purpose": purpose},
            )
        )
        with self._lock:
            if len(self._told) >= _MAX_REMEMBERED:
                self._told.clear()
            self._told[key] = now
