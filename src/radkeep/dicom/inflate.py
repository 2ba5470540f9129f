# SPDX-License-Identifier: Apache-2.0
"""Inflates a deflated data set without believing it (PS3.5 Section A.5).

Invariant: memory is one output piece; a data set that grows beyond its limits is refused early.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from radkeep.domain.errors import UndecodableError
from radkeep.domain.limits import MAX_INFLATE_RATIO, MAX_INFLATED_BYTES

_PIECE: Final = 256 << 10  # bytes inflated at a time
_FREE: Final = 4 << 20  # up to here any ratio is fine: an empty image is no bomb


class Inflater:
    """Turns raw deflate into the data set, piece by piece."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._in = 0
        self._out = 0

    def take(self, data: memoryview) -> Iterator[bytes]:
        """Yield what ``data`` inflates to, in pieces of at most 256 KiB.

        Raises:
            UndecodableError: not deflate, or more than the limits allow.
        """
        self._in += len(data)
        rest: bytes | memoryview = data
        while not self._zlib.eof:
            try:
                piece = self._zlib.decompress(rest, _PIECE)
            except zlib.error:
                raise UndecodableError("the deflated data set cannot be inflated") from None
            rest = self._zlib.unconsumed_tail
            self._out += len(piece)
            if self._out > min(max(_FREE, MAX_INFLATE_RATIO * self._in), MAX_INFLATED_BYTES):
                raise UndecodableError("the deflated data set inflates beyond the limit")
            if piece:
                yield piece
            if not rest and len(piece) < _PIECE:
                return

    def end(self) -> None:
        """Say that all bytes came.

        Raises:
            UndecodableError: the deflated stream is not complete.
        """
        if not self._zlib.eof:
            raise UndecodableError("the deflated data set ends early")


def inflated(pieces: Iterable[bytes], start: int, stop: int) -> Iterator[bytes]:
    """Yield bytes ``start`` to ``stop`` of the data set that ``pieces`` deflate.

    Raises:
        UndecodableError: not deflate, beyond a limit, or shorter than ``stop``.
    """
    inflater, at = Inflater(), 0
    for piece in pieces:
        for out in inflater.take(memoryview(piece)):
            part = out[max(start - at, 0) : max(stop - at, 0)]
            at += len(out)
            if part:
                yield part
            if at >= stop:
                return
    if at < stop:
        raise UndecodableError("the deflated data set ends early")
