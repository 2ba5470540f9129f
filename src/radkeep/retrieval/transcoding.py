# SPDX-License-Identifier: Apache-2.0
"""Compressed instances as uncompressed ones, decoded in the sandbox while they leave.

Invariant: no step loses anything: pixels are those that the codestream stands for. Memory is one
frame. The first frame is decoded before the first byte leaves, so that what cannot be decoded is
told as an error; a later frame that cannot ends the data set short.
"""

from collections.abc import Iterator

from radkeep.dicom.head import InstanceHead
from radkeep.dicom.image import image_of
from radkeep.dicom.native import native_head, pixel_header
from radkeep.domain.errors import IntegrityError, NotDecodableError
from radkeep.retrieval.ports import Decoder, Frames


class Transcoded:
    """A compressed instance in explicit VR little endian."""

    def __init__(self, head: InstanceHead, frames: Frames, decoder: Decoder) -> None:
        """Decode the first frame.

        Raises:
            NotDecodableError: nothing decodes the transfer syntax, or there is nothing to decode.
            RadkeepError: the frame is damaged, too large, or decoding is not possible now.
        """
        pixel = head.pixel
        if pixel is None or not pixel.encapsulated:
            raise NotDecodableError("the instance has no compressed pixel data")
        self._frames, self._decoder = frames, decoder
        self._image, _ = image_of(head, frames.peek)
        self._count = pixel.frames
        self._first, self._photometric = self._decoded(1)
        self.head, self._pixel = native_head(head, self._image, self._photometric)

    def frames(self) -> Iterator[bytes]:
        """Yield the decoded frames, and what fills them up to an even length.

        Raises:
            IntegrityError: a frame is of another kind than the first.
        """
        yield self._first
        for number in range(2, self._count + 1):
            pixels, photometric = self._decoded(number)
            if photometric != self._photometric:
                raise IntegrityError("frames of one instance have different colors")
            yield pixels
        if self._count * self._image.frame_bytes % 2:
            yield b"\0"

    def length(self) -> int:
        """Return the bytes that ``pieces`` yields."""
        layout, pixel = self.head.layout, self._pixel
        cut = sum(size for _, size, _ in layout.cuts)
        around = len(layout.elements) + len(layout.tail) + len(pixel_header(pixel))
        return around + cut + pixel.length

    def pieces(self) -> Iterator[bytes]:
        """Yield the data set."""
        layout, pixel = self.head.layout, self._pixel
        border = len(layout.elements)
        yield from self._filled(layout.elements, [cut for cut in layout.cuts if cut[0] <= border])
        yield pixel_header(pixel)
        yield from self.frames()
        behind = [(at - border, size, where) for at, size, where in layout.cuts if at > border]
        yield from self._filled(layout.tail, behind)

    def _decoded(self, number: int) -> tuple[bytes, str]:
        _, pieces = self._frames.frame(number)
        return self._decoder.native(self._image, b"".join(pieces), self._frames.compartment)

    def _filled(self, data: bytes, cuts: list[tuple[int, int, int]]) -> Iterator[bytes]:
        """Yield ``data`` with the values that are not in the head."""
        at = 0
        for place, size, where in sorted(cuts):
            yield data[at:place]
            yield self._frames.peek(where, where + size)
            at = place
        yield data[at:]


def native_frame(head: InstanceHead, frames: Frames, decoder: Decoder, number: int) -> bytes:
    """Return one frame's native pixels.

    Raises:
        NotFoundError: no such frame.
        RadkeepError: what ``decoder`` tells of the frame.
    """
    _, pieces = frames.frame(number)
    image, _ = image_of(head, frames.peek)
    pixels, _ = decoder.native(image, b"".join(pieces), frames.compartment)
    return pixels
