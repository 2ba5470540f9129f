# SPDX-License-Identifier: Apache-2.0
"""The catalog made again from the volumes.

Invariant: the old catalog, if there is one, stays until the new one is whole; the caller holds the
data directory's lock and no door is open.
"""

from contextlib import closing
from typing import Unpack

from radkeep.app.audit_client import DirectLog
from radkeep.app.recovery_events import tell_recovery
from radkeep.app.unlocked import CATALOG, Unlocked
from radkeep.archive.reader import VolumeReader
from radkeep.archive.recovery import recover
from radkeep.audit.events import Event, EventFields, EventId, event_by
from radkeep.database.catalog.catalog import Catalog, rebuilding
from radkeep.domain.clock import SystemClock
from radkeep.identity.actors import system
from radkeep.ingest.judgment import Judge
from radkeep.ingest.store import recorded


def rebuild(unlocked: Unlocked) -> int:
    """Rebuild the catalog and tell the audit log; return the number of records read.

    Raises:
        ArchiveFullError: no room for the new catalog.
        IntegrityError: the audit log or the keyring is damaged.
    """
    clock, actor, volumes = SystemClock(), system("rebuild"), unlocked.layout.volumes

    def make(event: EventId, **fields: Unpack[EventFields]) -> Event:
        return event_by(actor, event, time=clock.now(), **fields)

    with (
        closing(unlocked.open_audit_log()) as log,
        closing(VolumeReader(volumes, keys=unlocked.keyring)) as records,
    ):
        with rebuilding(unlocked.layout.catalog, unlocked.secret(CATALOG)) as catalog:
            recovery = recover(
                volumes,
                keys=unlocked.keyring,
                catalog=catalog,
                positions={},
                describe=recorded,
                judge=Judge(records),
                clock=clock,
            )
        tell_recovery(recovery, DirectLog(log, "rebuild"), make)
    return recovery.replayed


def ensure_catalog(unlocked: Unlocked) -> None:
    """Rebuild a catalog that is gone, and bring one that is there to this version's schema.

    Raises:
        IntegrityError: the catalog is damaged; ``radkeep rebuild`` makes it again.
        ArchiveFullError: no room.
    """
    if unlocked.layout.catalog.exists():
        Catalog.open(unlocked.layout.catalog, unlocked.secret(CATALOG)).close()
    else:
        rebuild(unlocked)
