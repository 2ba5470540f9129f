# SPDX-License-Identifier: Apache-2.0
"""An archive in memory: an ``ingest.ports.Recorder`` and a ``retrieval.ports.RecordReader``.

Invariant: it passes ``testing.archive_contracts.RecorderContract``, as the one on disk does. What
it can do besides is fail, or answer late, when a test wants that.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from radkeep.domain.errors import IntegrityError, RadkeepError
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid
from radkeep.ingest.judgment import Judge
from radkeep.ingest.ports import Arrival, CatalogWriter, Clash, Verdict

VOLUME = "a" * 32
_PIECE = 1000  # bytes yielded at a time, so that nobody relies on whole bodies


class MemoryArchive:
    """Keeps records in a list; a placement's offset is the index. For one thread."""

    def __init__(self, catalog: CatalogWriter) -> None:
        self.records: list[tuple[bytes, bytes]] = []  # head and body
        self.opened: list[tuple[str, Uid]] = []  # organization and study
        self.abandoned = 0
        self.refusal: RadkeepError | None = None  # of the next open
        self.failure: RadkeepError | None = None  # of every finish
        self.late = False  # answer when ``answer`` is called, not before
        self.damaged: set[int] = set()  # records that cannot be read
        self._catalog = catalog
        self._judge = Judge(self)
        self._waiting: list[Callable[[], None]] = []

    def open(self, organization: str, study: Uid) -> "MemoryRecord":
        """Begin a record."""
        if self.refusal is not None:
            raise self.refusal
        self.opened.append((organization, study))
        return MemoryRecord(self)

    def answer(self) -> None:
        """Settle everything that was finished while ``late``."""
        waiting, self._waiting = self._waiting, []
        for settle in waiting:
            settle()

    def head(self, placement: Placement) -> bytes:
        """Return the head of a record."""
        return self._found(placement)[0]

    def body(self, placement: Placement, start: int, stop: int) -> Iterator[bytes]:
        """Yield a range of what was received."""
        body = self._found(placement)[1]
        if not 0 <= start <= stop <= len(body):
            raise IntegrityError("beyond the record")
        for at in range(start, stop, _PIECE):
            yield body[at : min(at + _PIECE, stop)]

    def keep(
        self, head: bytes, body: bytes, describe: Callable[[Placement], Arrival]
    ) -> Future[Verdict]:
        """Make a record and settle its verdict, now or later."""
        verdict: Future[Verdict] = Future()

        def settle() -> None:
            if self.failure is not None:
                verdict.set_exception(self.failure)
                return
            self.records.append((head, body))
            placement = Placement(
                volume=VOLUME,
                offset=len(self.records) - 1,
                length=len(body),
                key_id=b"k" * 16,
            )
            verdict.set_result(self._commit(describe(placement)))

        if self.late:
            self._waiting.append(settle)
        else:
            settle()
        return verdict

    def _commit(self, arrival: Arrival) -> Verdict:
        position = len(self.records)
        (found,) = self._catalog.commit(VOLUME, position, [arrival])
        if isinstance(found, Clash):
            found = self._judge(found, arrival)
            self._catalog.judged(VOLUME, position, [(arrival, found)])
        return found

    def _found(self, placement: Placement) -> tuple[bytes, bytes]:
        if placement.offset in self.damaged:
            raise IntegrityError("a record is damaged")
        return self.records[placement.offset]


class MemoryRecord:
    """A record being received."""

    def __init__(self, archive: MemoryArchive) -> None:
        self._archive = archive
        self._body = bytearray()

    def write(self, data: memoryview) -> None:
        """Keep more of the body."""
        self._body += data

    def finish(self, head: bytes, describe: Callable[[Placement], Arrival]) -> Future[Verdict]:
        """Hand the record to the archive."""
        return self._archive.keep(head, bytes(self._body), describe)

    def abandon(self) -> None:
        """Forget the record."""
        self._archive.abandoned += 1
