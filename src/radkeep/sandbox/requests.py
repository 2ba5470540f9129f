# SPDX-License-Identifier: Apache-2.0
"""What a door can ask a worker for, and what it says besides the bytes that it makes."""

from typing import Final

import msgspec

from radkeep.dicom.image import Image
from radkeep.dicom.looks import Look

TRANSCODE: Final = "transcode"  # an Image and a frame: native pixels, and Native
RENDER: Final = "render"  # a Rendering, a frame and an encoded Presentation: a picture, and Made
PAGE: Final = "page"  # a PageOf and a document: a picture, and Made


class Native(msgspec.Struct, frozen=True):
    """What the pixels of a decoded frame are."""

    photometric: str


class Rendering(msgspec.Struct, frozen=True, kw_only=True):
    """A frame to be drawn."""

    image: Image
    look: Look


class PageOf(msgspec.Struct, frozen=True, kw_only=True):
    """A page to be drawn."""

    number: int  # counted from 1
    look: Look


class Made(msgspec.Struct, frozen=True):
    """What a picture is."""

    width: int
    height: int
    pages: int = 1  # of the document
