# SPDX-License-Identifier: Apache-2.0
"""Stored values to gray levels (PS3.3 Sections C.11.1 and C.11.2).

Invariant: what comes out is one byte a pixel, whatever the values were.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radkeep.dicom.image import Image, Presentation, Table
from radkeep.dicom.looks import Window
from radkeep.sandbox.codecs import Pixels
from radkeep.sandbox.coloring import Bytes, bands, looked_up

_WHITE: Final = 255.0


def to_gray(image: Image, found: Pixels, shown: Presentation, window: Window | None) -> Bytes:
    """Return a frame of one sample as it is meant to be seen, or through ``window``.

    Raises:
        DamagedPixelsError: a table has fewer entries than it announces.
    """
    gray: Bytes
    if image.allocated == 1:
        gray = (found != 0).astype(np.uint8) * np.uint8(_WHITE)
    elif window is None and shown.voi is not None:
        gray = _through(shown.voi, _modality(found, shown))
    else:
        gray = _windowed(image, found, shown, window)
    if (image.photometric == "MONOCHROME1") != shown.inverse:
        gray = np.uint8(_WHITE) - gray
    return gray


def _windowed(image: Image, found: Pixels, shown: Presentation, window: Window | None) -> Bytes:
    """Apply modality transformation and window; by a table where values are few."""
    if window is None and shown.windows:
        window = (*shown.windows[0], shown.function)
    if image.floating or image.allocated > 16:  # noqa: PLR2004
        return _levels(_modality(found, shown), window)
    low, high = int(found.min()), int(found.max())
    every = np.arange(low, high + 1, dtype=np.int64)
    table: Bytes = _levels(_modality(every, shown), window)
    out = np.empty(found.shape, np.uint8)
    for rows in bands(found):
        np.take(table, found[rows].astype(np.int32) - low, out=out[rows])
    return out


def _modality(found: Pixels, shown: Presentation) -> NDArray[Any]:
    if shown.modality is not None:
        return looked_up(shown.modality, found)
    if shown.slope == 1 and shown.intercept == 0:
        return found
    return found.astype(np.float64) * shown.slope + shown.intercept


def _levels(values: NDArray[Any], window: Window | None) -> Bytes:
    level = values.astype(np.float64)
    level = np.where(np.isfinite(level), level, 0.0)
    if window is None:  # from the darkest to the brightest
        low, high = float(level.min()), float(level.max())
        scaled = (level - low) / ((high - low) or 1.0)
    else:
        center, width, function = window
        if function == "SIGMOID":
            scaled = 1 / (1 + np.exp(np.clip(-4 * (level - center) / width, -700, 700)))
        elif function == "LINEAR_EXACT":
            scaled = (level - center) / width + 0.5
        elif width > 1:
            scaled = (level - (center - 0.5)) / (width - 1) + 0.5
        else:
            scaled = (level > center - 0.5).astype(np.float64)
    gray: Bytes = np.rint(np.clip(scaled, 0, 1) * _WHITE).astype(np.uint8)
    return gray


def _through(table: Table, values: NDArray[Any]) -> Bytes:
    entries = looked_up(table, np.rint(values)).astype(np.float64)
    gray: Bytes = np.rint(np.clip(entries / (2**table.bits - 1), 0, 1) * _WHITE).astype(np.uint8)
    return gray
