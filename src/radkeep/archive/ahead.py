# SPDX-License-Identifier: Apache-2.0
"""Bytes of the only record that is coming in, written where the next group will begin.

So the disk works while the rest is received, hashed and sealed. Invariant: a guess that costs
nothing when it is wrong. What is written ahead lies beyond the last durable group; it counts only
when its record becomes the first of the next group, and else that group is written over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from radkeep.archive.volume import OpenVolume
from radkeep.domain.errors import RadkeepError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Piece:
    """Sealed bytes that will not change any more."""

    record: bytes  # its object id
    offset: int  # from the record's beginning
    view: memoryview


class Item(Protocol):
    """A finished record."""

    @property
    def object_id(self) -> bytes:
        """Return what the record is known by while it is received."""
        ...


ItemT = TypeVar("ItemT", bound=Item)


class Ahead:
    """What was written ahead. Used by the writer thread."""

    def __init__(self) -> None:
        self._volume: OpenVolume | None = None
        self._position = 0  # where the record begins
        self._record = b""
        self._length = 0  # bytes of the record that are in the file

    def write(self, volume: OpenVolume | None, piece: Piece) -> None:
        """Write ``piece`` if it continues what is there, or begins a record."""
        if volume is None or volume.ended:
            return
        if piece.offset == 0:
            self._volume, self._position = volume, volume.position
            self._record, self._length = piece.record, 0
        there = self._there(volume, piece.record)
        end = piece.offset + len(piece.view)
        if there is None or there != piece.offset or end > volume.headroom:
            return
        try:
            volume.write_ahead(piece.view, piece.offset)
        except RadkeepError as error:  # the group will be written whole, and tell its senders
            log.warning("volume.ahead.failed", volume=volume.name, code=error.code)
            self._volume = None
        else:
            self._length = end

    def first(self, items: Sequence[ItemT]) -> Sequence[ItemT]:
        """Return ``items`` with the record that was written ahead before the others."""
        return sorted(items, key=lambda item: item.object_id != self._record)

    def take(self, volume: OpenVolume, record: bytes) -> int:
        """Return how many bytes of ``record`` are at the position of ``volume``, and forget it."""
        there = self._there(volume, record)
        self._volume = None
        return there or 0

    def _there(self, volume: OpenVolume, record: bytes) -> int | None:
        """Return the bytes of ``record`` that are where a group would begin, None if it is not."""
        known = (self._volume, self._position, self._record)
        return self._length if known == (volume, volume.position, record) else None
