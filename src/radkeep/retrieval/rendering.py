# SPDX-License-Identifier: Apache-2.0
"""Frames and pages as pictures, drawn in the sandbox.

Invariant: this process takes the attributes apart, with limits of its own, and looks into no pixel
and no document.
"""

from typing import Final

import msgspec

from radkeep.dicom.attributes import attributes
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.image import image_of, presentation
from radkeep.dicom.looks import Look, Picture
from radkeep.domain.errors import NotDecodableError, NotFoundError, TooLargeError
from radkeep.retrieval.decoder import Decoder, Frame, Frames

MAX_DOCUMENT: Final = 256 << 20  # bytes
_DOCUMENT, _MEDIA_TYPE = 0x00420011, 0x00420012
_PDF: Final = "application/pdf"


def rendered(
    head: InstanceHead, frames: Frames, decoder: Decoder, number: int, look: Look
) -> Picture:
    """Return frame ``number``, or that page of a PDF document, as a picture.

    Raises:
        NotFoundError: no such frame or page.
        NotDecodableError: the instance is no image and no document.
        RadkeepError: what ``decoder`` tells of it.
    """
    pixel = head.pixel
    if pixel is None:
        return decoder.page(_document(head, frames), number, look, frames.compartment)
    frame = frames.frame(number)
    image, found = image_of(head, frames.peek)
    if not pixel.encapsulated and pixel.frame_bits % 8:
        before = (number - 1) * pixel.frame_bits % 8
        image = msgspec.structs.replace(image, skip=before)
    shown = presentation(image, found, number)
    return decoder.render(image, frame, shown, look, frames.compartment)


def _document(head: InstanceHead, frames: Frames) -> Frame:
    told = attributes(head, {_MEDIA_TYPE}, frames.peek)
    if told.text(_MEDIA_TYPE).lower() != _PDF:
        raise NotDecodableError("the instance is no image and no PDF document")
    try:
        length, pieces = frames.bulk(f"{_DOCUMENT:08X}")
    except NotFoundError:
        raise NotDecodableError("the instance holds no document") from None
    if length > MAX_DOCUMENT:
        raise TooLargeError("the document is larger than what may be shown")
    return length, pieces
