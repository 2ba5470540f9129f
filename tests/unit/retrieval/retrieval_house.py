# SPDX-License-Identifier: Apache-2.0
"""The one way out, over what the one way in stored in memory."""

import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pydicom.data

from radkeep.domain.actor import Actor
from radkeep.domain.uid import Uid
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.ingest.store import Store
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.deletions import Deletions
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.overlay import Overlay
from radkeep.retrieval.search import Search
from radkeep.testing.archive import MemoryArchive
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.catalog import MemoryCatalog, MemoryCatalogReader
from radkeep.testing.deletions import MemoryDeletions
from radkeep.testing.identity import FakeClock

BASE = "https://pacs.test/dicom-web/instance"


def reader(organization: str = "org", *, name: str = "rosa") -> Actor:
    """Return an actor that may query and read."""
    return actors.system(
        name, Permission.STUDY_READ, Permission.STUDY_QUERY, organization=organization
    )


@dataclass
class House:
    """A store, a search and a fetch over the same memory."""

    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    clock: FakeClock = field(default_factory=FakeClock)
    decoder: Decoder | None = None

    def __post_init__(self) -> None:
        self.catalog = MemoryCatalog()
        self.archive = MemoryArchive(self.catalog)
        ways = {"policy": Policy(), "audit": self.audit, "clock": self.clock}
        self.store = Store(recorder=self.archive, limit=64 << 20, **ways)
        reader, memory = MemoryCatalogReader(self.catalog), MemoryDeletions()
        ways |= {"catalog": Overlay(deletions=memory, catalog=reader)}
        self.fetch = Fetch(records=self.archive, decoder=self.decoder, **ways)
        self.search = Search(**ways)
        self.deletions = Deletions(store=memory, **ways)

    def keep(
        self, data: bytes, *, organization: str = "org", syntax: str | None = None
    ) -> tuple[Uid, Uid, Uid]:
        """Store one instance and return its study, series and instance; forget its audit."""
        actor = actors.system("gate", Permission.INSTANCE_STORE, organization=organization)
        transfer = self.store.transfer(actor, session="s", protocol="import")
        reception = self.store.receive(transfer, transfer_syntax=syntax)
        reception.feed(memoryview(data))
        facts = reception.finish().result(0).facts
        transfer.close()
        self.audit.events.clear()
        return facts.study, facts.series, facts.sop_instance


@dataclass(frozen=True)
class Real:
    """A file of the pydicom package and what pydicom reads in it."""

    name: str
    data: bytes
    expected: pydicom.Dataset


def real(name: str) -> Real:
    """Return one file of the package."""
    path = Path(pydicom.data.__file__).parent / "test_files" / name
    data = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        found = pydicom.dcmread(io.BytesIO(data), force=True)
        for element in found.iterall():
            element.value  # noqa: B018 - decode now, while warnings are off
        logging.disable(logging.NOTSET)
    return Real(name, data, found)


def joined(pieces: Iterator[bytes]) -> bytes:
    """Return all of a body."""
    return b"".join(pieces)
