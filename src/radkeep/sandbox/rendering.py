# SPDX-License-Identifier: Apache-2.0
"""A frame as a picture that any browser shows.

Invariant: PNG or JPEG of 8 bits, gray or RGB, without a word of the patient.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from imagecodecs import _jpeg8, _png

from radkeep.dicom.image import Image, Overlay, Presentation
from radkeep.dicom.looks import PNG, Look, Window
from radkeep.domain.errors import DamagedPixelsError, NotDecodableError
from radkeep.sandbox import wire
from radkeep.sandbox.codecs import Pixels, decode
from radkeep.sandbox.coloring import Bytes, through_palette, to_rgb
from radkeep.sandbox.gray import to_gray
from radkeep.sandbox.pixels import values
from radkeep.sandbox.requests import Made, Rendering
from radkeep.sandbox.resizing import fitted

_FAST: Final = 1  # level of deflate
_WHITE: Final = 255


def render(rendering: Rendering, parts: Sequence[memoryview]) -> tuple[bytes, Made]:
    """Return the picture of one frame.

    Raises:
        DamagedPixelsError: the frame is not what its attributes say.
        NotDecodableError: nothing here shows this kind of image.
    """
    frame, described = parts
    image, look = rendering.image, rendering.look
    shown: Presentation = wire.decode(bytes(described), Presentation)
    found, photometric = decode(image, frame)
    picture = _picture(image, found, photometric, shown, look.window)
    for overlay in shown.overlays:
        _draw(picture, overlay, image, found)
    picture = fitted(picture, look.viewport, shown.aspect)
    return encoded(picture, look), Made(picture.shape[1], picture.shape[0])


def encoded(picture: Bytes, look: Look) -> bytes:
    """Return ``picture`` as PNG or JPEG."""
    picture = np.ascontiguousarray(picture)
    if look.media_type == PNG:
        return bytes(_png.png_encode(picture, _FAST))
    if picture.ndim == 2:  # noqa: PLR2004 - gray
        return bytes(_jpeg8.jpeg8_encode(picture, look.quality))
    return bytes(_jpeg8.jpeg8_encode(picture, look.quality, colorspace="RGB"))


def _picture(
    image: Image, found: Pixels, photometric: str, shown: Presentation, window: Window | None
) -> Bytes:
    if image.samples == 3:  # noqa: PLR2004
        return np.array(to_rgb(image, values(image, found), photometric))
    if image.samples != 1:
        raise NotDecodableError("images of four colors")
    if photometric == "PALETTE COLOR":
        if shown.palette is None:
            raise DamagedPixelsError("the palette is missing")
        return through_palette(values(image, found), shown.palette)
    return to_gray(image, values(image, found), shown, window)


def _draw(picture: Bytes, overlay: Overlay, image: Image, found: Pixels) -> None:
    """Make the pixels under an overlay's set bits white, as far as they lie in the picture."""
    if overlay.data:
        bits = np.unpackbits(np.frombuffer(overlay.data, np.uint8), bitorder="little")
        count = overlay.rows * overlay.columns
        plane: Any = bits[overlay.skip : overlay.skip + count]
        if plane.size != count:
            raise DamagedPixelsError("an overlay is shorter than announced")
        plane = plane.reshape(overlay.rows, overlay.columns)
    elif image.samples == 1 and not image.floating and 0 < overlay.bit < image.allocated:
        plane = (found >> overlay.bit) & 1
    else:
        return
    top, left = overlay.top - 1, overlay.left - 1
    plane = plane[max(0, -top) :, max(0, -left) :]
    top, left = max(0, top), max(0, left)
    target = picture[top : top + plane.shape[0], left : left + plane.shape[1]]
    target[plane[: target.shape[0], : target.shape[1]] != 0] = _WHITE
