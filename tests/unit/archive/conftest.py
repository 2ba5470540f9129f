# SPDX-License-Identifier: Apache-2.0
"""An archive in memory or on a real disk, with everything around it played by fakes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from radkeep.archive.disk import Disk
from radkeep.archive.reader import VolumeReader
from radkeep.archive.recovery import Recovery, recover
from radkeep.archive.sealing import SealedVolume
from radkeep.archive.writer import Limits, VolumeWriter
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Verdict
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.disk import RecordingDisk
from radkeep.testing.records import (
    ORGANIZATION,
    FixedClock,
    FixedKeys,
    describe,
    judge_by,
    send,
)


@dataclass
class House:
    """One data directory and the processes that use it."""

    folder: Path
    disk: Disk
    limits: Limits = field(default_factory=lambda: Limits(volume=1 << 20, step=256 << 10))
    keys: FixedKeys = field(default_factory=FixedKeys)
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    sealed: list[SealedVolume] = field(default_factory=list)
    writers: list[VolumeWriter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = VolumeReader(self.folder, keys=self.keys, disk=self.disk)

    def writer(self) -> VolumeWriter:
        writer = VolumeWriter(
            self.folder,
            keys=self.keys,
            catalog=self.catalog,
            judge=judge_by(self.read),
            clock=FixedClock(),
            limits=self.limits,
            disk=self.disk,
            sealed=self.sealed.append,
        )
        self.writers.append(writer)
        return writer

    def store(self, name: str, body: bytes, **more: str) -> Verdict:
        writer = self.writers[-1] if self.writers else self.writer()
        return send(writer, name, body, **more).result(timeout=10)

    def read(self, placement: Placement) -> bytes:
        length = self.reader.body_length(placement)
        return b"".join(self.reader.body(placement, 0, length))

    def body(self, name: str) -> bytes:
        return self.read(self.place(name))

    def place(self, name: str) -> Placement:
        return self.catalog.instances[ORGANIZATION, name].placement

    def recover(self, catalog: MemoryCatalog | None = None) -> Recovery:
        if catalog is not None:
            self.catalog = catalog
        return recover(
            self.folder,
            keys=self.keys,
            catalog=self.catalog,
            positions=dict(self.catalog.positions),
            describe=describe,
            judge=judge_by(self.read),
            clock=FixedClock(),
            disk=self.disk,
        )

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()


@pytest.fixture
def house() -> Iterator[House]:
    """Return an archive in memory."""
    made = House(Path("/volumes"), RecordingDisk())
    yield made
    made.close()


@pytest.fixture
def after_a_cut() -> Callable[[House], House]:
    """Return a function that gives the archive as a power cut leaves it, all writes made."""

    def cut(house: House) -> House:
        assert isinstance(house.disk, RecordingDisk)
        return House(house.folder, RecordingDisk(house.disk.files()), house.limits, house.keys)

    return cut
