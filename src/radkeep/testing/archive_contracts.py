# SPDX-License-Identifier: Apache-2.0
"""What every archive does, in memory or on disk. Subclass, and give one in ``archive``."""

import hashlib
from typing import Protocol

from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, OpenRecord, Recorder, Verdict
from radkeep.retrieval.ports import RecordReader
from radkeep.testing.records import ORGANIZATION, STUDY, Head, describe

_BODY = bytes(range(256)) * 20
_UID = "1.2.3.4"
_DEADLINE = 10.0  # seconds


class Archive(Protocol):
    """Both ends of an archive."""

    @property
    def recorder(self) -> Recorder:
        """Return the way in."""
        ...

    @property
    def reader(self) -> RecordReader:
        """Return the way out."""
        ...


class RecorderContract:
    """Records that were answered can be read; others never."""

    archive: Archive

    def test_what_was_received_is_what_is_read(self) -> None:
        """Head and body come back bit for bit, and every range of the body."""
        verdict, head, kept = self._store(_UID, _BODY)
        assert verdict is Verdict.STORED
        reader = self.archive.reader
        assert reader.head(kept) == head
        assert b"".join(reader.body(kept, 0, len(_BODY))) == _BODY
        assert b"".join(reader.body(kept, 100, 3100)) == _BODY[100:3100]
        assert b"".join(reader.body(kept, 7, 7)) == b""

    def test_the_same_bytes_again_are_the_same(self) -> None:
        """Twice the same is success, and no second instance."""
        self._store(_UID, _BODY)
        verdict, _, _ = self._store(_UID, _BODY)
        assert verdict is Verdict.SAME

    def test_an_abandoned_record_holds_nobody_up(self) -> None:
        """What is given up leaves no trace in the answers to others."""
        record = self.archive.recorder.open(ORGANIZATION, STUDY)
        record.write(memoryview(_BODY))
        record.abandon()
        verdict, _, kept = self._store(_UID, b"other")
        assert verdict is Verdict.STORED
        assert b"".join(self.archive.reader.body(kept, 0, 5)) == b"other"

    def test_bytes_may_be_overwritten_after_write(self) -> None:
        """A door reuses its buffers."""
        record = self.archive.recorder.open(ORGANIZATION, STUDY)
        buffer = bytearray(b"first")
        record.write(memoryview(buffer))
        buffer[:] = b"other"
        _, _, kept = self._finish(record, _UID, b"first")
        assert b"".join(self.archive.reader.body(kept, 0, 5)) == b"first"

    def _store(self, uid: str, body: bytes) -> tuple[Verdict, bytes, Placement]:
        record = self.archive.recorder.open(ORGANIZATION, STUDY)
        for start in range(0, len(body), 1000):
            record.write(memoryview(body)[start : start + 1000])
        return self._finish(record, uid, body)

    def _finish(
        self, record: OpenRecord, uid: str, body: bytes
    ) -> tuple[Verdict, bytes, Placement]:
        head = Head(uid, hashlib.sha256(body).digest(), len(body)).encode()
        placements: list[Placement] = []

        def described(placement: Placement) -> Arrival:
            placements.append(placement)
            return describe(head, placement)

        verdict = record.finish(head, described).result(_DEADLINE)
        return verdict, head, placements[0]
