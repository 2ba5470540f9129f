# SPDX-License-Identifier: Apache-2.0
"""A real DICOM door on a port of its own, with a store in memory behind it."""

import importlib.util
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.classes import is_storage
from radkeep.dimse.ports import Rooms
from radkeep.dimse.server import DimseServer
from radkeep.dimse.settings import DimseSettings
from radkeep.domain.clock import SystemClock
from radkeep.identity.permissions import EVERYTHING
from radkeep.identity.policy import Policy
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.search import Search
from radkeep.retrieval.selection import Selection
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.dimse import Door, FakeAdmission, FakeStore, FakeWitness, LoopThread
from radkeep.testing.shelf import Shelf

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


@pytest.fixture(scope="session")
def rawsend() -> ModuleType:
    """Return benchmarks/rawsend.py, our own foreign peer."""
    path = Path(__file__).parents[2] / "benchmarks" / "rawsend.py"
    spec = importlib.util.spec_from_file_location("rawsend", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def open_door() -> Iterator[Callable[..., Door]]:
    """Return a function that starts a server with the given settings."""
    doors: list[Door] = []

    def start(*titles: str, rooms: Mapping[str, Any] | None = None, **settings: object) -> Door:
        store, admission, witness = FakeStore(), FakeAdmission(*titles), FakeWitness()
        admission.permissions = EVERYTHING
        loop = LoopThread()
        settings.setdefault("tick", 0.05)
        settings.setdefault("grace", 2.0)
        server = DimseServer(
            admission=admission,
            store=store,
            supports=is_storage,
            settings=DimseSettings(**settings),
            witness=witness,
            rooms=Rooms(**(rooms or {})),
        )

        async def listen() -> int:
            await server.__aenter__()
            return await server.listen("127.0.0.1", 0)

        doors.append(Door(loop.run(listen()), server, store, admission, witness, loop))
        return doors[-1]

    yield start
    for door in doors:
        door.store.open.set()
        door.loop.run(door.server.close())
        door.loop.close()
        door.store.close()


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    """Return a server in its usual settings."""
    return open_door()


@pytest.fixture
def associate(rawsend: ModuleType) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a raw association; its socket is closed in the end."""
    links: list[Any] = []

    def start(door: Door, contexts: Sequence[tuple[str, str]], **options: object) -> object:
        links.append(rawsend.Association(door.address, contexts, **options))
        return links[-1]

    yield start
    for link in links:
        link.socket.close()


@pytest.fixture
def instance(rawsend: ModuleType) -> Callable[..., Any]:
    """Return a function that makes a small explicit little endian data set."""

    def make(uid: str = "1.2.3.4", *, size: int = 1_000, sop_class: str = CT) -> object:
        def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
            value += b"\0" * (len(value) % 2)
            return struct.pack("<HH2sH", group, number, vr, len(value)) + value

        data = element(8, 0x16, b"UI", sop_class.encode())
        data += element(8, 0x18, b"UI", uid.encode())
        data += struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", size) + bytes(size)
        return rawsend.Instance(sop_class, uid, EXPLICIT, data)

    return make


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Return an empty catalog, for the organization of the fake devices."""
    opened = Catalog.open(tmp_path / "catalog.db", bytes(32))
    yield opened
    opened.close()


@pytest.fixture
def audit() -> MemoryAuditLog:
    """Return the audit log of ``finder``."""
    return MemoryAuditLog()


@pytest.fixture
def finder(catalog: Catalog, audit: MemoryAuditLog) -> Search:
    """Return the real search over ``catalog``."""
    return Search(catalog=catalog, policy=Policy(), audit=audit, clock=SystemClock())


@pytest.fixture
def shelf() -> Shelf:
    """Return an empty archive in memory."""
    return Shelf()


@pytest.fixture
def selector(catalog: Catalog, shelf: Shelf, audit: MemoryAuditLog) -> Selection:
    """Return the real selection over ``catalog`` and ``shelf``."""
    policy, clock = Policy(), SystemClock()
    fetch = Fetch(catalog=catalog, records=shelf, policy=policy, audit=audit, clock=clock)
    return Selection(catalog=catalog, fetch=fetch, policy=policy, audit=audit, clock=clock)
