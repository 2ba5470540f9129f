# SPDX-License-Identifier: Apache-2.0
"""What recovery of the volumes tells the audit log.

Invariant: every transfer whose process did not end well is closed here with the count and the
Merkle root of what is really in the volumes, whatever was told of it before.
"""

from collections.abc import Iterator
from typing import Final, Protocol, Unpack

import structlog

from radkeep.archive.findings import FindingKind
from radkeep.archive.recovery import Recovery
from radkeep.archive.sealing import SealedVolume
from radkeep.audit.events import Action, Event, EventFields, EventId, EventType, Outcome
from radkeep.audit.ports import AuditLog
from radkeep.audit.tree import merkle_root

_BATCH: Final = 64  # events in one message to the keeper
_log = structlog.get_logger()


class MakeEvent(Protocol):
    """Makes an event of the recovering process."""

    def __call__(self, event: EventId, **fields: Unpack[EventFields]) -> Event:
        """Return ``event`` with these fields."""
        ...


def tell_recovery(recovery: Recovery, audit: AuditLog, make: MakeEvent) -> None:
    """Append what ``recovery`` found.

    Raises:
        AuditUnavailableError: the log cannot append.
    """
    events = list(_events(recovery, make))
    for start in range(0, len(events), _BATCH):
        audit.append(*events[start : start + _BATCH])
    if recovery.replayed or recovery.findings:
        _log.info("archive.recovered", replayed=recovery.replayed, findings=len(recovery.findings))


def sealed_event(volume: SealedVolume, make: MakeEvent) -> Event:
    """Return the event by which the audit log vouches for a sealed volume."""
    return make(
        EventId.APPLICATION_ACTIVITY,
        type=EventType.VOLUME_SEALED,
        action=Action.CREATE,
        count=volume.records,
        digest=volume.root.hex(),
        detail={"volume": volume.name},
    )


def _events(recovery: Recovery, make: MakeEvent) -> Iterator[Event]:
    for transfer, digests in recovery.transfers.items():
        yield make(
            EventId.INSTANCES_TRANSFERRED,
            type=EventType.RECOVERED,
            action=Action.CREATE,
            count=len(digests),
            digest=merkle_root(digests).hex(),
            detail={"transfer": transfer},
        )
    for finding in recovery.findings:
        harmless = finding.kind is not FindingKind.DAMAGE
        yield make(
            EventId.SECURITY_ALERT,
            type=EventType.DAMAGE_FOUND,
            outcome=Outcome.SUCCESS if harmless else Outcome.SERIOUS_FAILURE,
            detail={
                "volume": finding.volume,
                "offset": str(finding.offset),
                "kind": finding.kind,
                "what": finding.detail,
            },
        )
    for volume in recovery.sealed:
        yield sealed_event(volume, make)
