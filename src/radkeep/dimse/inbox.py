# SPDX-License-Identifier: Apache-2.0
"""Where a connection's bytes arrive.

Invariant: a connection that has sent nothing owns no memory; one that is not associated owns a
buffer that grows only with bytes that have come; an associated one borrows a segment, and only
while it has bytes in it or a message is under way.
"""

from collections.abc import Callable
from typing import Final

from radkeep.dimse.buffers import Segment, SegmentPool
from radkeep.dimse.settings import FIRST_BUFFER, MIN_READ, SEGMENT, TURN
from radkeep.dimse.wire.connection import MAX_ASSOCIATE
from radkeep.dimse.wire.pdu import HEADER

_MAX_BUFFER: Final = MAX_ASSOCIATE + HEADER.size
_NOTHING: Final = memoryview(b"")


class Inbox:
    """The bytes that have come and are not consumed yet."""

    def __init__(
        self,
        pool: SegmentPool,
        *,
        grew: Callable[[int], None],
        give_back: Callable[[Segment, bool], None],
    ) -> None:
        """Tell ``grew`` the bytes of own buffers, ``give_back`` a segment and if it is lent."""
        self._pool, self._grew, self._give_back = pool, grew, give_back
        self._view = _NOTHING  # own buffer, or the view of ``_segment``
        self._segment: Segment | None = None
        self._start = self._end = 0  # of what waits
        self._owned = 0  # bytes of own buffer
        self._lent = False  # slices of ``_segment`` are on their way to ingest

    def room(self, *, associated: bool, in_message: bool = False) -> memoryview:
        """Return where the next bytes go; never empty, and short where commands are expected."""
        if not associated:
            if not self._owned:
                self._own(FIRST_BUFFER)
        elif self._segment is None or SEGMENT - self._end < MIN_READ:
            self._next_segment()
        return self._view[self._end : None if in_message else self._end + TURN]

    @property
    def waits(self) -> bool:
        """Whether bytes have come that are not consumed."""
        return self._start < self._end

    def waiting(self, received: int) -> memoryview:
        """Return all that waits, with ``received`` more bytes."""
        self._end += received
        return self._view[self._start : self._end]

    def consume(self, length: int, *, lent: bool) -> None:
        """Take ``length`` bytes away; if ``lent``, slices of them are still to be read."""
        self._start += length
        self._lent = self._lent or lent

    def settle(self, *, keep: bool) -> None:
        """Let go if nothing waits and nothing is to be kept; else make room for more."""
        if self._start == self._end:
            if not keep:
                self.clear()
        elif self._owned and self._end == self._owned < _MAX_BUFFER:
            self._own(min(2 * self._owned, _MAX_BUFFER))

    def clear(self) -> None:
        """Let go of everything."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._give_back(segment, self._lent)
        if self._owned:
            owned, self._owned = self._owned, 0
            self._grew(-owned)
        self._view, self._lent = _NOTHING, False
        self._start = self._end = 0

    def _own(self, size: int) -> None:
        larger = memoryview(bytearray(size))
        larger[: self._end] = self._view[: self._end]
        extra, self._owned, self._view = size - self._owned, size, larger
        self._grew(extra)

    def _next_segment(self) -> None:
        """Continue in a fresh segment with the few bytes that wait."""
        segment, rest = self._pool.take(), self._end - self._start
        segment.view[:rest] = self._view[self._start : self._end]
        self.clear()
        self._segment, self._view, self._end = segment, segment.view, rest
