# SPDX-License-Identifier: Apache-2.0
"""Colors as screens show them (PS3.3 Sections C.7.6.3.1.2 and C.7.9).

Invariant: what comes out is RGB of 8 bits, of the size of what went in.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radkeep.dicom.image import MAX_TABLE, Image, Table
from radkeep.domain.errors import DamagedPixelsError, NotDecodableError
from radkeep.sandbox.codecs import Pixels

Bytes = NDArray[np.uint8]
_BAND: Final = 1 << 20  # numbers
_WIDE: Final = 9  # bits, from which an entry takes two bytes

# ITU-R BT.601: full range, and that of video (16 to 235)
_FULL: Final = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_PARTIAL: Final = np.array(
    [[1.1644, 0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0]], np.float32
)


def to_rgb(image: Image, found: Pixels, photometric: str) -> Bytes:
    """Return a frame of three samples as RGB.

    Raises:
        NotDecodableError: the colors are of an unknown kind.
    """
    colors = _eight_bits(image, found)
    match photometric:
        case "RGB":
            return colors
        case "YBR_FULL" | "YBR_FULL_422" | "YBR_ICT" | "YBR_RCT":
            return _turned(colors, _FULL, 0)
        case "YBR_PARTIAL_420" | "YBR_PARTIAL_422":
            return _turned(colors, _PARTIAL, 16)
        case _:
            raise NotDecodableError("colors of an unknown kind")


def through_palette(found: Pixels, palette: tuple[Table, Table, Table]) -> Bytes:
    """Return indices as the colors that they stand for.

    Raises:
        DamagedPixelsError: a table has fewer entries than it announces.
    """
    planes = [looked_up(table, found) for table in palette]
    bits = [table.bits for table in palette]
    shown = [
        plane >> (depth - 8) if depth > 8 else plane  # noqa: PLR2004
        for plane, depth in zip(planes, bits, strict=True)
    ]
    return np.stack(shown, axis=-1).astype(np.uint8)


def looked_up(table: Table, found: Pixels) -> NDArray[np.uint16]:
    """Return the entry for each value; values beyond an end get the entry at that end.

    Raises:
        DamagedPixelsError: the table has fewer entries than it announces.
    """
    entries = _entries(table)
    out = np.empty(found.shape, np.uint16)
    for rows in bands(found):
        index = found[rows].astype(np.int64) - table.first
        np.take(entries, index, out=out[rows], mode="clip")
    return out


def _entries(table: Table) -> NDArray[np.uint16]:
    if table.segmented:
        return _expanded(table)
    if table.bits >= _WIDE or len(table.data) >= 2 * table.entries:
        if len(table.data) < 2 * table.entries:
            raise DamagedPixelsError("a table is shorter than announced")
        entries = np.frombuffer(table.data, "<u2", count=table.entries)
        if table.bits <= 8 and entries.max() > 0xFF:  # noqa: PLR2004 - two entries in a word, or 16 bits
            entries = entries >> 8
        return entries.astype(np.uint16)
    if len(table.data) < table.entries:
        raise DamagedPixelsError("a table is shorter than announced")
    return np.frombuffer(table.data, np.uint8, count=table.entries).astype(np.uint16)


def _expanded(table: Table) -> NDArray[np.uint16]:
    """Undo segments (PS3.3 Section C.7.9.2): runs, lines and repetitions of earlier ones."""
    wide = table.bits >= _WIDE
    words = np.frombuffer(
        table.data[: len(table.data) // 2 * 2] if wide else table.data, "<u2" if wide else "u1"
    )
    out: list[int] = []
    _segments([int(word) for word in words], 0, len(words), out, wide=wide, nested=False)
    if len(out) < table.entries:
        raise DamagedPixelsError("a table is shorter than announced")
    return np.array(out[: table.entries], np.uint16)


def _segments(
    words: list[int], at: int, count: int, out: list[int], *, wide: bool, nested: bool
) -> None:
    """Append what up to ``count`` segments from word ``at`` stand for."""
    for _ in range(count):
        if at + 2 > len(words) or len(out) > MAX_TABLE:
            return
        kind, length = words[at], words[at + 1]
        at += 2
        if kind == 0:
            out += words[at : at + length]
            at += length
        elif kind == 1 and out and at < len(words):
            first, last = out[-1], words[at]
            out += [first + (last - first) * (step + 1) // length for step in range(length)]
            at += 1
        elif kind == 2 and not nested:  # noqa: PLR2004 - an indirect segment
            size = 2 if wide else 4
            parts = words[at : at + size]
            start = sum(part << ((16 if wide else 8) * place) for place, part in enumerate(parts))
            start = start // (2 if wide else 1)  # the offset counts bytes
            _segments(words, start, length, out, wide=wide, nested=True)
            at += size
        else:
            raise DamagedPixelsError("a table has a segment of no kind")


def _eight_bits(image: Image, found: Pixels) -> Bytes:
    if image.floating:
        raise NotDecodableError("colors that are fractions")
    if image.stored > 8:  # noqa: PLR2004
        return (found >> (image.stored - 8)).astype(np.uint8)
    if image.stored < 8:  # noqa: PLR2004
        return (found << (8 - image.stored)).astype(np.uint8)
    return found.astype(np.uint8)


def _turned(colors: Bytes, matrix: NDArray[Any], black: int) -> Bytes:
    out = np.empty(colors.shape, np.uint8)
    for rows in bands(colors):
        part = colors[rows].astype(np.float32)
        part -= np.array([black, 128, 128], np.float32)
        for sample in range(3):
            mixed = sum(part[..., source] * matrix[sample, source] for source in range(3))
            out[rows, :, sample] = np.clip(np.rint(mixed), 0, 255)
    return out


def bands(found: NDArray[Any]) -> Iterator[slice]:
    """Yield runs of rows, small enough that wide numbers of them take little memory."""
    step = max(1, _BAND // max(found[:1].size, 1))
    for at in range(0, len(found), step):
        yield slice(at, at + step)
