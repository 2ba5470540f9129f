# SPDX-License-Identifier: Apache-2.0
"""The one thread of a process that writes volumes, for all who store.

Invariant: a future holds a verdict only after the record is durable and in the catalog; whatever
waits while a group is written goes together in the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import Final, Protocol

import structlog

from radkeep.archive.disk import Disk, SystemDisk
from radkeep.archive.format import HEADER, VolumeKind
from radkeep.archive.groups import Groups, Judge
from radkeep.archive.record import Finished, Record
from radkeep.archive.sealing import SealedVolume, seal
from radkeep.archive.slabs import SLAB, SlabPool
from radkeep.archive.volume import OpenVolume
from radkeep.domain.clock import Clock
from radkeep.domain.errors import ArchiveFullError, RadkeepError, UnavailableError
from radkeep.domain.limits import SMALL_OBJECT_BYTES
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import CatalogWriter

_ROOM: Final = 2 * SMALL_OBJECT_BYTES  # bytes that must be allocated before a record is accepted
_SINGLE_STEP: Final = 16 << 20  # bytes allocated at a time for a large object

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes that an installation may choose, in bytes unless said."""

    volume: int = 1 << 30  # a volume is sealed when it has grown to this
    step: int = 64 << 20  # allocated ahead at a time
    buffers: int = 128 << 20  # sealed bytes in memory, at most
    group: int = 16 << 20
    group_records: int = 64  # records
    singles: int = 256  # large objects being received at the same time


class StudyKeys(Protocol):
    """Where keys come from: ``KeyPool``."""

    def assign(self, organization: str, study: Uid) -> tuple[bytes, bytes]:
        """Return id and key for records of ``study``, durable in the keyring."""
        ...


class VolumeWriter:
    """Writes this process's volumes: an ``ingest.ports.Recorder``. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        *,
        keys: StudyKeys,
        catalog: CatalogWriter,
        judge: Judge,
        clock: Clock,
        limits: Limits | None = None,
        disk: Disk | None = None,
        sealed: Callable[[SealedVolume], None] | None = None,
    ) -> None:
        """Start the writer. It writes nothing before the first record is opened.

        Args:
            directory: where volumes lie.
            keys: gives durable study keys.
            catalog: gets every group.
            judge: rules when a SOP Instance UID is taken by other bytes.
            clock: dates volumes.
            limits: sizes.
            disk: for tests.
            sealed: told of every volume that was sealed, so that its root can be audited.
        """
        self.slabs = SlabPool(max(2, (limits or Limits()).buffers // SLAB))
        self._directory = directory
        self._disk = disk or SystemDisk()
        self._keys = keys
        self._clock = clock
        self._limits = limits or Limits()
        self._sealed = sealed
        self._groups = Groups(catalog, judge, self.slabs)
        self._space = Lock()  # over _volume
        self._volume: OpenVolume | None = None
        self._singles = Semaphore(self._limits.singles)
        self._failed: list[OpenVolume] = []  # closed for good; their lock is kept until we end
        self._sealers: list[Thread] = []
        self._queue: SimpleQueue[Finished | None] = SimpleQueue()
        self._gate = Lock()  # over _closed and the end of _queue
        self._closed = False
        self._thread = Thread(target=self._run, name="volume-writer", daemon=True)
        self._thread.start()

    def open(self, organization: str, study: Uid) -> Record:
        """See ``Recorder.open``."""
        if self._closed:
            raise UnavailableError("the archive is closing")
        self._admit()
        key_id, key = self._keys.assign(organization, study)
        slab = self.slabs.take()
        if slab is None:
            raise UnavailableError("too many records are being received")
        return Record(self, slab, key_id=key_id, key=key, organization=organization)

    def close(self) -> None:
        """Store what was finished, seal the open volume, end the thread. May be called again."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()
        for sealer in self._sealers:
            sealer.join()
        for volume in self._failed:
            volume.file.close()

    # What records need

    def submit(self, finished: Finished) -> None:
        """Take a finished record."""
        self.slabs.handed_over(len(finished.slabs))
        with self._gate:
            if not self._closed:
                self._queue.put(finished)
                return
        self._groups.fail([finished], UnavailableError("the archive is closing"))
        if finished.single is not None:
            self.drop_single(finished.single)

    def new_single(self) -> OpenVolume:
        """Create a volume for one large object.

        Raises:
            UnavailableError: too many large objects are being received.
            ArchiveFullError: no room.
        """
        if not self._singles.acquire(blocking=False):
            raise UnavailableError("too many large objects are being received")
        try:
            return self._create(VolumeKind.SINGLE, min(_SINGLE_STEP, self._limits.step))
        except BaseException:
            self._singles.release()
            raise

    def drop_single(self, volume: OpenVolume) -> None:
        """Remove a volume that holds nothing."""
        self._singles.release()
        self._drop(volume)

    # Room

    def _admit(self) -> None:
        """Refuse a record early when the disk is full; else allocate ahead of the writer."""
        step = self._limits.step
        volume = self._volume
        if volume is not None and volume.headroom >= step // 2:
            return
        volume = self._current()
        try:
            volume.reserve(volume.position + step)
        except ArchiveFullError:  # then as little as it takes, if it is not there already
            volume.reserve(volume.position + min(_ROOM, step))

    def _current(self) -> OpenVolume:
        with self._space:
            if self._volume is None:
                self._volume = self._create(VolumeKind.SHARED, self._limits.step)
            return self._volume

    def _create(self, kind: VolumeKind, step: int) -> OpenVolume:
        return OpenVolume.create(self._disk, self._directory, kind, clock=self._clock, step=step)

    def _drop(self, volume: OpenVolume) -> None:
        volume.end()
        self._disk.unlink(volume.path)
        volume.file.close()

    # The thread

    def _run(self) -> None:
        going = True
        batch: list[Finished] = []
        try:
            while going:
                batch, going = self._collect()
                self._shared([item for item in batch if item.single is None])
                for item in batch:
                    if item.single is not None:
                        self._single(item, item.single)
            self._finish()
        except BaseException as error:  # a mistake of ours: nobody may wait for an answer for ever
            log.critical("volume.writer.failed", error=type(error).__name__)
            with self._gate:
                self._closed = True
            while not self._queue.empty():
                waiting = self._queue.get()
                batch += [waiting] if waiting is not None else []
            self._groups.fail(batch, UnavailableError("the archive failed"))
            raise

    def _collect(self) -> tuple[list[Finished], bool]:
        """Return what waits, up to the limits of a group; False when it is the last."""
        first = self._queue.get()
        if first is None:
            return [], False
        batch, size = [first], first.sealed.length
        while len(batch) < self._limits.group_records and size < self._limits.group:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
            size += item.sealed.length
        return batch, True

    def _shared(self, items: list[Finished]) -> None:
        if not items:
            return
        try:
            volume = self._current()
        except RadkeepError as error:
            self._groups.fail(items, error)
            return
        self._groups.store(volume, items)
        if volume.ended:
            self._give_up(volume)
        elif volume.position >= self._limits.volume:
            sealer = Thread(target=self._seal, args=(volume,), daemon=True)
            self._sealers = [each for each in self._sealers if each.is_alive()]
            self._sealers.append(sealer)
            self._leave()
            sealer.start()

    def _single(self, item: Finished, volume: OpenVolume) -> None:
        self._groups.store(volume, [item])
        if volume.ended:
            self._give_up(volume)
            self._singles.release()
        elif volume.position == HEADER:
            self.drop_single(volume)
        else:
            self._seal(volume)
            self._singles.release()

    def _leave(self) -> None:
        with self._space:
            self._volume = None

    def _give_up(self, volume: OpenVolume) -> None:
        """Leave a volume whose disk failed to the next start."""
        log.error("volume.failed", volume=volume.name, position=volume.position)
        if volume is self._volume:
            self._leave()
        self._failed.append(volume)
        try:
            volume.file.truncate(volume.position)  # the refused group; it may still come back
        except RadkeepError as error:
            log.warning("volume.truncate.failed", volume=volume.name, code=error.code)

    def _seal(self, volume: OpenVolume) -> None:
        try:
            sealed = seal(volume, self._clock)
        except RadkeepError as error:  # nothing is lost: the next start seals it
            log.warning("volume.seal.failed", volume=volume.name, code=error.code)
            return
        if self._sealed is not None:
            self._sealed(sealed)

    def _finish(self) -> None:
        if self._groups.withdrawn:
            try:
                self._groups.withdraw(self._current())
            except RadkeepError as error:
                log.warning("volume.withdraw.failed", code=error.code)
        volume = self._volume
        if volume is not None and not volume.ended:
            if volume.position == HEADER:
                self._drop(volume)
            else:
                self._seal(volume)
