# SPDX-License-Identifier: Apache-2.0
"""Buffers for sealed bytes on their way to the disk.

Invariant: no more than ``limit`` slabs exist, whatever arrives; each is owned by one record until
it is released.
"""

from threading import Condition, Lock
from typing import Final

from radkeep.crypto.seal import CHUNK, TAG

SEALED_CHUNK: Final = CHUNK + TAG
CHUNKS: Final = 4
SLAB: Final = CHUNKS * SEALED_CHUNK + 4096  # bytes: chunks, and room for frames and a small head
MAX_WAIT: Final = 5.0  # seconds for a slab that is about to come back from the writer


class Slab:
    """One buffer: ``view[:used]`` is to be written."""

    __slots__ = ("used", "view")

    def __init__(self) -> None:
        self.view: Final = memoryview(bytearray(SLAB))
        self.used = 0

    def put(self, data: bytes) -> None:
        """Append ``data``, which fits."""
        end = self.used + len(data)
        self.view[self.used : end] = data
        self.used = end


class SlabPool:
    """Lends slabs and plain-text carries. Thread-safe."""

    def __init__(self, limit: int) -> None:
        """Make a pool of at most ``limit`` slabs; made when needed, kept for ever."""
        self._left = limit
        self._free: list[Slab] = []
        self._carries: list[memoryview] = []
        self._returning = 0  # slabs with the writer: they come back soon
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._waiting = 0  # threads that wait for a slab

    def take(self) -> Slab | None:
        """Return an empty slab; None when all are held by records that are still coming in.

        Waits up to 5 s for slabs that the writer has: then None as well.
        """
        with self._lock:
            if not self._free and not self._left and self._returning:
                self._wait()
            if self._free:
                return self._free.pop()
            if self._left:
                self._left -= 1
                return Slab()
            return None

    def handed_over(self, count: int) -> None:
        """Note that ``count`` slabs are with the writer."""
        with self._lock:
            self._returning += count

    def release(self, slabs: list[Slab], *, returned: bool) -> None:
        """Take back ``slabs``; ``returned`` if they were handed over."""
        for slab in slabs:
            slab.used = 0
        with self._lock:
            self._free += slabs
            if returned:
                self._returning -= len(slabs)
            if self._waiting:
                self._changed.notify_all()

    def take_carry(self) -> memoryview:
        """Return a buffer of one chunk for plain text that does not fill a chunk yet."""
        with self._lock:
            if self._carries:
                return self._carries.pop()
        return memoryview(bytearray(CHUNK))

    def give_carry(self, carry: memoryview) -> None:
        """Take back a carry. As many are kept as slabs could be."""
        with self._lock:
            if len(self._carries) <= len(self._free):
                self._carries.append(carry)

    def _wait(self) -> None:
        """Wait for slabs that the writer has; the lock is held before and after."""
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: self._free or not self._returning, timeout=MAX_WAIT)
        finally:
            self._waiting -= 1
