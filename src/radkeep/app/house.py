# SPDX-License-Identifier: Apache-2.0
"""Composition root of a process that stores or serves: use cases over their adapters.

Invariant: this is the one place where a port meets its adapter; it reads as a table of contents.
"""

import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Unpack

import structlog

from radkeep.app.layout import Layout
from radkeep.app.outward import Credentials, Outward
from radkeep.app.recovery_events import sealed_event, tell_recovery
from radkeep.archive.keypool import Append, KeyPool
from radkeep.archive.keyring import Keyring
from radkeep.archive.reader import VolumeReader
from radkeep.archive.recovery import Recovery, recover
from radkeep.archive.sealing import SealedVolume
from radkeep.archive.writer import Limits, VolumeWriter
from radkeep.audit.events import Event, EventFields, EventId, event_by
from radkeep.audit.ports import AuditLog
from radkeep.config import Config
from radkeep.database.catalog.catalog import Catalog
from radkeep.database.registry.registry import SqlRegistry
from radkeep.dimse.scu.echo import EchoScu
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import RadkeepError
from radkeep.identity.actors import system
from radkeep.identity.assembly import assemble
from radkeep.identity.certificates import Authority
from radkeep.identity.devices import Devices
from radkeep.ingest.judgment import Judge
from radkeep.ingest.store import Store, recorded
from radkeep.retrieval.commitment import Commitments
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.deletions import Deletions
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.overlay import Overlay
from radkeep.retrieval.search import Search
from radkeep.retrieval.selection import Selection

FLUSH_SECONDS: Final = 1.0  # from an acknowledged instance to its Transferred entry
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What a house stands on."""

    layout: Layout
    config: Config
    keyring: Keyring
    append_keys: Append
    catalog_key: bytes
    registry_key: bytes
    audit: AuditLog
    process: str  # its name in the audit log
    decoder: Decoder | None = None  # a lone command decodes nothing
    authority: Authority | None = None  # issues certificates of devices


class House:
    """Everything one process does below its door."""

    def __init__(self, base: Foundation) -> None:
        """Open the databases and replay what a predecessor left.

        Raises:
            IntegrityError: a database does not open with its key, or is damaged.
            UnavailableError: a part is in use or does not answer.
        """
        self.clock: Final = SystemClock()
        self.audit: Final = base.audit
        self._actor = system(base.process)
        volumes = base.layout.volumes
        self.catalog: Final = Catalog.open(base.layout.catalog, base.catalog_key)
        self.registry: Final = SqlRegistry(base.layout.registry, base.registry_key)
        self.people: Final = assemble(
            registry=self.registry,
            audit=base.audit,
            clock=self.clock,
            ae_title=base.config.server.ae_title,
            authority=base.authority,
            peers=partial(_caller, base),
        )
        policy = self.people.policy
        self.records: Final = VolumeReader(volumes, keys=base.keyring)
        judge = Judge(self.records)
        self.recovery: Final = self._recover(volumes, base.keyring, judge)
        self._pool = KeyPool(base.keyring, base.append_keys, clock=self.clock)
        for organization in base.keyring.organizations():
            self._pool.warm(organization)
        self._writer = VolumeWriter(
            volumes,
            keys=self._pool,
            catalog=self.catalog,
            judge=judge,
            clock=self.clock,
            limits=Limits(volume=base.config.archive.volume_bytes),
            sealed=self._volume_sealed,
        )
        self.store: Final = Store(
            recorder=self._writer,
            policy=policy,
            audit=base.audit,
            clock=self.clock,
            limit=base.config.archive.max_object_bytes,
        )
        deletions = self.registry.deletions
        shown = Overlay(deletions=deletions, catalog=self.catalog)
        self.search: Final = Search(
            catalog=shown,
            policy=policy,
            audit=base.audit,
            clock=self.clock,
        )
        self.deletions: Final = Deletions(
            catalog=shown,
            store=deletions,
            policy=policy,
            audit=base.audit,
            clock=self.clock,
        )
        self.fetch: Final = Fetch(
            catalog=shown,
            records=self.records,
            policy=policy,
            audit=base.audit,
            clock=self.clock,
            decoder=base.decoder,
        )
        self.selection: Final = Selection(
            catalog=shown,
            fetch=self.fetch,
            policy=policy,
            audit=base.audit,
            clock=self.clock,
        )
        self.commitments: Final = Commitments(
            catalog=shown,
            records=self.records,
            policy=policy,
            audit=base.audit,
            clock=self.clock,
        )
        self._ended = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._pulse.start()

    def close(self) -> None:
        """Seal the open volume, tell what was received, close the databases."""
        self._ended.set()
        self._pulse.join()
        self._writer.close()
        self._pool.close()
        self.store.flush()
        self.people.knocks.flush()
        self.records.close()
        self.catalog.close()
        self.registry.close()

    def _beat(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            self.store.flush()
            try:
                self.people.knocks.flush()
            except RadkeepError as error:  # a pulse that ended would end all telling
                _log.warning("knocks.flush-failed", code=error.code)

    def _recover(self, volumes: Path, keyring: Keyring, judge: Judge) -> Recovery:
        recovery = recover(
            volumes,
            keys=keyring,
            catalog=self.catalog,
            positions=self.catalog.positions(),
            describe=recorded,
            judge=judge,
            clock=self.clock,
        )
        tell_recovery(recovery, self.audit, self._event)
        return recovery

    def _volume_sealed(self, volume: SealedVolume) -> None:
        self.audit.submit([sealed_event(volume, self._event)])

    def _event(self, event: EventId, **fields: Unpack[EventFields]) -> Event:
        return event_by(self._actor, event, time=self.clock.now(), **fields)


def _caller(base: Foundation, devices: Devices) -> EchoScu:
    own = base.config.server.ae_title
    credentials = Credentials(base.authority, own) if base.authority is not None else None
    context = credentials.context if credentials is not None else None
    return EchoScu(Outward(devices, context), ae_title=own)
