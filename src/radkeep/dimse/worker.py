# SPDX-License-Identifier: Apache-2.0
"""The two crossings between the event loop and the threads behind it.

Invariant: the loop never waits for a thread, a thread never waits for the loop; a group of
answers costs the loop one wake-up.
"""

import asyncio
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from radkeep.dimse.buffers import SegmentPool
from radkeep.dimse.store_scp import Intake, Step

NoteT_contra = TypeVar("NoteT_contra", contravariant=True)
NoteT = TypeVar("NoteT")


class Addressee(Protocol[NoteT_contra]):
    """Who lives on the loop and gets notes from threads."""

    def take(self, note: NoteT_contra) -> None:
        """Act on one note."""
        ...

    def flush(self) -> None:
        """Do what is best done once for a group of notes."""
        ...


class Outbox(Generic[NoteT]):
    """Carries notes from any thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._notes: list[tuple[Addressee[NoteT], NoteT]] = []
        self._lock = threading.Lock()
        self._closed = False

    def post(self, addressee: Addressee[NoteT], note: NoteT) -> None:
        """Have ``addressee`` take ``note`` on the loop soon; after ``close`` it is dropped."""
        with self._lock:
            if self._closed:
                return
            self._notes.append((addressee, note))
            if len(self._notes) == 1:
                self._loop.call_soon_threadsafe(self._deliver)

    def close(self) -> None:
        """Drop what comes from now on."""
        with self._lock:
            self._closed = True

    def _deliver(self) -> None:
        with self._lock:
            notes, self._notes = self._notes, []
        for addressee, note in notes:
            addressee.take(note)
        for addressee in {id(addressee): addressee for addressee, _ in notes}.values():
            addressee.flush()


class Worker:
    """One ingest thread: runs the steps of its associations in the order they were given."""

    def __init__(self, name: str, pool: SegmentPool) -> None:
        self.intakes = 0  # associations bound to this worker; the loop's to change
        self._pool = pool
        self._queue: SimpleQueue[tuple[Intake, Sequence[Step]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, intake: Intake, steps: Sequence[Step]) -> None:
        """Run ``steps`` of ``intake`` soon."""
        self._queue.put((intake, steps))

    def stop(self, timeout: float) -> bool:
        """Finish what is queued and end; False if that takes longer than ``timeout`` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            intake, steps = work
            intake.run(steps, self._pool)
            del work, intake, steps  # hold nothing of an association that has gone
