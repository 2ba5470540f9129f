# SPDX-License-Identifier: Apache-2.0
"""A part of a picture in another size (PS3.18 Section 8.3.5.1.3).

Invariant: the picture keeps its proportions and fits into what was asked for.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radkeep.dicom.looks import Viewport
from radkeep.domain.errors import NotDecodableError
from radkeep.sandbox.coloring import Bytes

_BAND: Final = 1 << 18  # numbers worked on at a time


def fitted(picture: Bytes, view: Viewport | None, aspect: tuple[int, int]) -> Bytes:
    """Return ``picture`` as ``view`` wants it, its pixels made square.

    Raises:
        NotDecodableError: the part lies outside of the picture.
    """
    high, wide = aspect
    if view is None and high == wide:
        return picture
    if view is not None:
        picture = _part(picture, view)
    rows, columns = picture.shape[:2]
    height = rows * high / wide if high > wide else float(rows)
    width = columns * wide / high if wide > high else float(columns)
    if view is not None:
        scale = min(view.width / width, view.height / height)
        width, height = width * scale, height * scale
    return _resized(picture, max(1, round(height)), max(1, round(width)))


def _part(picture: Bytes, view: Viewport) -> Bytes:
    rows, columns = picture.shape[:2]
    across = view.source_width or columns - view.x
    down = view.source_height or rows - view.y
    left, top = max(0, round(view.x)), max(0, round(view.y))
    right = min(columns, round(view.x + abs(across)))
    bottom = min(rows, round(view.y + abs(down)))
    if left >= right or top >= bottom:
        raise NotDecodableError("the part lies outside of the image")
    part = picture[top:bottom, left:right]
    if across < 0:
        part = part[:, ::-1]
    return part[::-1] if down < 0 else part


def _resized(picture: Bytes, height: int, width: int) -> Bytes:
    rows, columns = picture.shape[:2]
    if (rows, columns) == (height, width):
        return picture
    # Averages first: sampling a large picture would skip most of it.
    picture = _averaged(picture, max(1, rows // height), max(1, columns // width))
    return _sampled(picture, height, width)


def _averaged(picture: Bytes, down: int, across: int) -> Bytes:
    if down == across == 1:
        return picture
    rows, columns = (picture.shape[0] // down) * down, (picture.shape[1] // across) * across
    out = np.empty((rows // down, columns // across, *picture.shape[2:]), np.uint8)
    step = max(1, _BAND // (down * columns))  # rows of blocks at a time: sums take more memory
    for at in range(0, len(out), step):
        part = picture[at * down : (at + step) * down, :columns]
        blocks = part[: len(part) // down * down].reshape(
            -1, down, columns // across, across, *picture.shape[2:]
        )
        sums = blocks.sum(axis=(1, 3), dtype=np.uint32)
        out[at : at + step] = (sums + down * across // 2)[: len(out) - at] // (down * across)
    return out


def _sampled(picture: Bytes, height: int, width: int) -> Bytes:
    """Interpolate linearly between the centers of pixels."""
    above, below, part_down = _places(picture.shape[0], height)
    before, after, part_across = _places(picture.shape[1], width)
    flat = (1,) * (picture.ndim - 2)
    part_across = part_across.reshape(-1, *flat)
    part_down = part_down.reshape(-1, 1, *flat)
    out = np.empty((height, width, *picture.shape[2:]), np.uint8)
    step = max(1, _BAND // picture[0].size)
    for at in range(0, height, step):
        rows = slice(at, at + step)
        upper = picture[above[rows]].astype(np.float32)
        lower = picture[below[rows]].astype(np.float32)
        lines = upper + (lower - upper) * part_down[rows]
        left, right = lines[:, before], lines[:, after]
        out[rows] = np.rint(left + (right - left) * part_across)
    return out


def _places(have: int, want: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    at = np.clip((np.arange(want) + 0.5) * have / want - 0.5, 0, have - 1)
    first = np.floor(at).astype(np.int64)
    return first, np.minimum(first + 1, have - 1), (at - first).astype(np.float32)
