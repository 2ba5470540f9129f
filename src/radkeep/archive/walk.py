# SPDX-License-Identifier: Apache-2.0
"""Finding the groups of a volume file, from its end to its beginning.

Invariant: what lies behind the last valid group marker is a torn tail; what lies between two valid
ones and is no group is damage. Nothing is changed here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from radkeep.archive.disk import File
from radkeep.archive.format import (
    FOOT,
    FOOT_MAGIC,
    HEADER,
    SEAL,
    SECTOR,
    START,
    TRAILER,
    TRAILER_MAGIC,
    Entry,
    Group,
    Seal,
    marker_length,
    parse_foot,
    parse_marker,
    parse_seal,
    parse_start,
    parse_trailer,
    trailer_length,
)
from radkeep.domain.errors import IntegrityError

_WINDOW: Final = 1 << 20  # bytes looked through at a time


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes between two valid places that are no valid group: damage."""

    start: int
    end: int


def read_seal(file: File, volume: bytes) -> Seal | None:
    """Return the seal of a volume; None when it is not sealed."""
    size = file.size()
    return parse_seal(file.read(size - SEAL, SEAL), volume, size) if size > HEADER else None


def read_group(file: File, volume: bytes, end: int) -> Group | None:
    """Return the group that ends at ``end``; None when none does."""
    if end < HEADER + FOOT or end % SECTOR:
        return None
    found = parse_foot(file.read(end - FOOT, FOOT), volume, end)
    if found is None:
        return None
    length = marker_length(found[1])
    return parse_marker(file.read(end - length, length), volume, end)


def last_end(file: File, volume: bytes, limit: int) -> int:
    """Return where the last valid group at or before ``limit`` ends; ``HEADER`` if there is none.

    Reads backwards until it finds one; memory is bounded by one window.
    """
    stop = limit - limit % SECTOR
    if read_group(file, volume, stop) is not None:  # the usual case: nothing behind it
        return stop
    while stop > HEADER:
        start = max(HEADER, stop - _WINDOW)
        data = file.read(start, stop - start)
        at = data.rfind(FOOT_MAGIC)
        while at >= 0:
            end = start + at + FOOT
            if end <= limit and read_group(file, volume, end) is not None:
                return end
            at = data.rfind(FOOT_MAGIC, 0, at + len(FOOT_MAGIC) - 1)
        stop = start
    return HEADER


def groups_backward(file: File, volume: bytes, end: int) -> Iterator[Group | Gap]:
    """Yield groups and gaps from ``end``, a valid end, to the beginning."""
    while end > HEADER:
        group = read_group(file, volume, end)
        if group is None:
            earlier = last_end(file, volume, end - SECTOR)
            yield Gap(earlier, end)
            end = earlier
        else:
            yield group
            end = group.start


def salvage(file: File, gap: Gap) -> Iterator[Entry]:
    """Yield what look like whole records in damaged bytes, by their trailers.

    Only opening them tells whether they are; they carry no digest.
    """
    at = gap.start
    while at < gap.end:
        data = file.read(at, min(_WINDOW, gap.end - at))
        here = data.find(TRAILER_MAGIC)
        while 0 <= here <= len(data) - TRAILER:
            length = trailer_length(data[here : here + TRAILER])
            offset = at + here + TRAILER - length
            if offset >= gap.start and _is_record(file, offset, length):
                yield Entry(offset, length, b"")
            here = data.find(TRAILER_MAGIC, here + 1)
        at += _WINDOW - TRAILER


def _is_record(file: File, offset: int, length: int) -> bool:
    try:
        parse_start(file.read(offset, START))
        parse_trailer(file.read(offset + length - TRAILER, TRAILER), length)
    except IntegrityError:
        return False
    return True
