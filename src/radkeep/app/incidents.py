# SPDX-License-Identifier: Apache-2.0
"""Violations at the DICOM door, on their way to the audit log."""

from radkeep.audit.events import EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.dimse.ports import Incident
from radkeep.domain.actor import ActorKind
from radkeep.domain.clock import Clock
from radkeep.identity.actors import stranger


class AuditWitness:
    """A ``dimse.ports.Witness`` that writes security alerts. Thread-safe."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    def record(self, incident: Incident) -> None:
        """Append ``incident`` to the audit log.

        Raises:
            AuditUnavailableError: it cannot be appended.
        """
        actor = incident.actor or stranger(incident.address, kind=ActorKind.DEVICE)
        self._audit.append(
            event_by(
                actor,
                EventId.SECURITY_ALERT,
                time=self._clock.now(),
                type=EventType.REFUSED,
                outcome=Outcome.MINOR_FAILURE,
                count=incident.count,
                detail={
                    "violation": incident.violation,
                    "what": incident.detail,
                    "association": incident.session,
                },
            )
        )
