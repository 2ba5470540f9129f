# SPDX-License-Identifier: Apache-2.0
"""Receive buffers: segments that are lent to the ingest thread and come back.

Invariant: a segment is in the pool or has exactly one owner; the memory of idle segments is
bounded by the pool's size, that of lent ones by the door's queue limits.
"""

from collections import deque
from typing import Final

from radkeep.dimse.settings import SEGMENT

_KEPT: Final = 64  # segments: 16 MiB stay warm


class Segment:
    """A block of ``SEGMENT`` bytes. Slices of ``view`` travel to the ingest thread."""

    __slots__ = ("view",)

    def __init__(self) -> None:
        self.view = memoryview(bytearray(SEGMENT))


class SegmentPool:
    """Hands out segments; last in, first out, so that the processor's cache stays warm.

    Thread-safe: ``deque`` appends and pops are atomic.
    """

    def __init__(self) -> None:
        self._free: deque[Segment] = deque(maxlen=_KEPT)

    def take(self) -> Segment:
        """Return a segment with arbitrary old content."""
        try:
            return self._free.pop()
        except IndexError:
            return Segment()

    def give(self, segment: Segment) -> None:
        """Take ``segment`` back; its views must not be used any more."""
        self._free.append(segment)
