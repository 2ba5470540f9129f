# SPDX-License-Identifier: Apache-2.0
"""Where one frame lies (PS3.5 Sections 8.1.1, A.4; PS3.3 Section C.7.6.3.1.8).

Invariant: the ranges lie inside Pixel Data, whatever offset tables say.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from radkeep.dicom.bulk import locate
from radkeep.dicom.head import InstanceHead, PixelLayout, Span
from radkeep.domain.errors import NotFoundError

Peek = Callable[[int, int], bytes]

_END_OF_IMAGE: Final = b"\xff\xd9"  # JPEG, JPEG-LS and JPEG 2000 end with it
_SEARCHED: Final = 10  # bytes at a fragment's end: the marker and padding
_EXTENDED_OFFSETS: Final = "7FE00001"
_EXTENDED_LENGTHS: Final = "7FE00002"


def frame_spans(head: InstanceHead, number: int, peek: Peek) -> Sequence[Span]:
    """Return where the bytes of frame ``number``, counted from 1, lie.

    A frame of single bits that neither begins nor ends at a byte comes with the whole bytes that
    it touches.

    Args:
        head: the head of the record.
        number: which frame.
        peek: reads a range, for offset tables.

    Raises:
        NotFoundError: no such frame, or no pixel data.
    """
    pixel = head.pixel
    if pixel is None or number < 1:
        raise NotFoundError("no such frame")
    found = (
        _encapsulated(head, pixel, number, peek) if pixel.encapsulated else _native(pixel, number)
    )
    if not found:
        raise NotFoundError("no such frame")
    return found


def _native(pixel: PixelLayout, number: int) -> list[Span]:
    end = pixel.offset + pixel.length
    if number > pixel.frames or not pixel.length:
        return []
    if not pixel.frame_bits:
        return [(pixel.offset, end)] if pixel.frames == 1 else []
    start = pixel.offset + (number - 1) * pixel.frame_bits // 8
    stop = pixel.offset + -(-number * pixel.frame_bits // 8)
    return [(start, stop)] if stop <= end else []


def _encapsulated(head: InstanceHead, pixel: PixelLayout, number: int, peek: Peek) -> list[Span]:
    items = pixel.fragment_spans()
    if len(items) < 2:  # noqa: PLR2004 - the Basic Offset Table and a fragment
        return []
    table, parts = items[0], items[1:]
    return (
        _by_extended_table(head, parts, number, peek)
        or _by_basic_table(table, parts, number, peek)
        or _by_fragments(parts, pixel.frames, number, peek)
    )


def _by_extended_table(
    head: InstanceHead, parts: Sequence[Span], number: int, peek: Peek
) -> list[Span]:
    """Look the frame up in the Extended Offset Table: one fragment a frame."""
    offset = _entry(head, _EXTENDED_OFFSETS, number, peek)
    length = _entry(head, _EXTENDED_LENGTHS, number, peek)
    if offset is None or length is None:
        return []
    start = parts[0][0] + offset
    at = bisect_left(parts, (start, 0))
    if at == len(parts) or parts[at][0] != start:
        return []
    return [(start, min(start + length, parts[at][1]))]


def _entry(head: InstanceHead, path: str, number: int, peek: Peek) -> int | None:
    try:
        ((start, stop),) = locate(head, path)
    except NotFoundError:
        return None
    at = start + 8 * (number - 1)
    return int.from_bytes(peek(at, at + 8), "little") if at + 8 <= stop else None


def _by_basic_table(table: Span, parts: Sequence[Span], number: int, peek: Peek) -> list[Span]:
    start, stop = table[0] + 4 * (number - 1), table[1]
    if start + 4 > stop:
        return []
    raw = peek(start, min(start + 8, stop))
    first = bisect_left(parts, (parts[0][0] + int.from_bytes(raw[:4], "little"), 0))
    last = len(parts)
    if len(raw) == 8:  # noqa: PLR2004 - another frame follows
        last = bisect_left(parts, (parts[0][0] + int.from_bytes(raw[4:], "little"), 0))
    return list(parts[first:last])


def _by_fragments(parts: Sequence[Span], frames: int, number: int, peek: Peek) -> list[Span]:
    if frames == 1:
        return list(parts) if number == 1 else []
    if len(parts) == frames:
        return [parts[number - 1]] if number <= frames else []
    if len(parts) < frames:
        return []  # video: frames are no byte ranges
    frame, found = 1, list[Span]()
    for start, stop in parts:
        if frame == number:
            found.append((start, stop))
        if _END_OF_IMAGE in peek(max(start, stop - _SEARCHED), stop):
            frame += 1
            if frame > number:
                return found
    return []
