# SPDX-License-Identifier: Apache-2.0
"""Decoded pixels as native ones (PS3.5 Section 8.1.1), and as the values that they stand for.

Invariant: nothing is lost on the way to native pixels; the bits beyond Bits Stored, which may be
overlays, are left out of values only.
"""

import numpy as np

from radkeep.dicom.image import Image
from radkeep.domain.errors import NotDecodableError
from radkeep.sandbox.codecs import Pixels


def native(image: Image, found: Pixels) -> bytes:
    """Return ``found``, decoded from a frame of ``image``, in little endian, pixel by pixel.

    Raises:
        NotDecodableError: single bits that do not fill whole bytes.
    """
    if image.allocated > 1:
        return found.tobytes()
    if found.size % 8:
        raise NotDecodableError("frames of single bits that do not end at a byte")
    return np.packbits(found.reshape(-1) != 0, bitorder="little").tobytes()


def values(image: Image, found: Pixels) -> Pixels:
    """Return the values that ``found`` stands for: Bits Stored, with their sign."""
    spare = image.allocated - image.stored
    if image.floating or image.allocated == 1 or spare <= 0:
        return found
    if not image.signed:
        masked: Pixels = found & np.array(2**image.stored - 1, found.dtype)
        return masked
    extended: Pixels = (found << spare) >> spare
    return extended
