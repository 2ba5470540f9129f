# SPDX-License-Identifier: Apache-2.0
"""Violations at the DICOM door, on their way to the audit log."""

from radkeep.audit.events import EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.dimse.ports import Incident, Violation
from radkeep.domain.actor import ActorKind
from radkeep.domain.clock import Clock
from radkeep.identity.actors import stranger
from radkeep.identity.devices import Devices


class AuditWitness:
    """A ``dimse.ports.Witness`` that writes security alerts. Thread-safe."""

    def __init__(self, audit: AuditLog, clock: Clock, devices: Devices) -> None:
        self._audit, self._clock = audit, clock
        self._devices = devices

    def record(self, incident: Incident) -> None:
        """Append ``incident`` to the audit log.

        Raises:
            AuditUnavailableError: it cannot be appended.
        """
        if incident.violation is Violation.NO_TLS:  # a stranger that wants in, like others
            self._devices.turned_away(incident.address, incident.detail)
            return
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
