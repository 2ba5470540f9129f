# SPDX-License-Identifier: Apache-2.0
"""The archive in memory and the one on disk answer the same questions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from radkeep.archive.reader import VolumeReader
from radkeep.archive.writer import VolumeWriter
from radkeep.ingest.judgment import Judge
from radkeep.ingest.ports import Recorder
from radkeep.retrieval.ports import RecordReader
from radkeep.testing.archive import MemoryArchive
from radkeep.testing.archive_contracts import RecorderContract
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.records import FixedClock, FixedKeys


@dataclass(frozen=True)
class Ends:
    recorder: Recorder
    reader: RecordReader


class TestMemoryArchive(RecorderContract):
    @pytest.fixture(autouse=True)
    def _archive(self) -> None:
        archive = MemoryArchive(MemoryCatalog())
        self.archive = Ends(archive, archive)


class TestVolumes(RecorderContract):
    @pytest.fixture(autouse=True)
    def _archive(self, tmp_path: Path) -> Iterator[None]:
        keys, volumes = FixedKeys(), tmp_path / "volumes"
        volumes.mkdir()
        reader = VolumeReader(volumes, keys=keys)
        writer = VolumeWriter(
            volumes,
            keys=keys,
            catalog=MemoryCatalog(),
            judge=Judge(reader),
            clock=FixedClock(),
        )
        self.archive = Ends(writer, reader)
        yield
        writer.close()
        reader.close()
