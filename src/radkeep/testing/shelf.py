# SPDX-License-Identifier: Apache-2.0
"""Records in memory, made from DICOM files: what ``retrieval`` needs below it, without an archive.

Invariant: what ``put`` returns, entered in a catalog, leads to the very bytes that were put.
"""

import hashlib
import threading
from collections.abc import Iterator
from typing import Final

from radkeep.dicom.head import InstanceHead
from radkeep.dicom.scanner import Scanner
from radkeep.domain.errors import IntegrityError
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival

_PIECE: Final = 1 << 20  # bytes, as the archive's pieces


class Shelf:
    """A ``retrieval.ports.RecordReader``."""

    def __init__(self) -> None:
        self._records: dict[int, tuple[bytes, bytes]] = {}  # offset -> head and body
        self.damaged: set[int] = set()  # offsets of records whose bytes fail
        self.damaged_from = 0  # bytes of those that can still be read
        self.gate = threading.Event()  # while it is not set, no byte is read
        self.gate.set()

    def put(
        self, content: bytes, transfer_syntax: str | None = None, *, organization: str = "org"
    ) -> Arrival:
        """Keep a data set, or with no ``transfer_syntax`` a file."""
        scanner = Scanner(transfer_syntax)
        scanner.feed(memoryview(content))
        scan = scanner.finish()
        digest = hashlib.sha256(content[scanner.data_set_offset :]).digest()
        head = InstanceHead.of(scan, digest=digest, received_length=len(content), origin={})
        offset = len(self._records)
        self._records[offset] = head.encode(), content
        return Arrival(
            organization=organization,
            facts=scan.facts,
            digest=digest,
            data_set_length=len(content) - scanner.data_set_offset,
            placement=Placement(volume="a" * 32, offset=offset, length=1, key_id=b"k" * 16),
            source="CT1",
            received=f"2026-03-01T12:00:{offset % 60:02d}.000+00:00",
            transfer="transfer",
        )

    def forge(self, offset: int, content: bytes) -> None:
        """Put other bytes where a record is, as nothing but a forger who has its key could."""
        self._records[offset] = self._records[offset][0], content

    def head(self, placement: Placement) -> bytes:
        """See ``RecordReader.head``."""
        return self._records[placement.offset][0]

    def body(self, placement: Placement, start: int, stop: int) -> Iterator[bytes]:
        """See ``RecordReader.body``."""
        self.gate.wait()
        content = self._records[placement.offset][1]
        for at in range(start, stop, _PIECE):
            if placement.offset in self.damaged and at >= self.damaged_from:
                raise IntegrityError("a record is damaged")
            yield content[at : min(at + _PIECE, stop)]
