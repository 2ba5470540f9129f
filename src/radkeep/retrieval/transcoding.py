# SPDX-License-Identifier: Apache-2.0
"""Compressed instances as uncompressed ones, decoded in the sandbox while they leave.

Invariant: no step loses anything: pixels are those that the codestream stands for. Memory is one
frame. The first frame is decoded before the first byte leaves, so that what cannot be decoded is
told as an error; a later frame that cannot ends the data set short.
"""

from collections.abc import Iterator, Sequence

from radkeep.dicom.head import InstanceHead
from radkeep.dicom.image import image_of
from radkeep.dicom.native import native_head
from radkeep.dicom.recode import Span
from radkeep.domain.errors import IntegrityError, NotDecodableError
from radkeep.retrieval.decoder import Decoder, Frames


class Transcoded:
    """A compressed instance whose pixels become native."""

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
        """Yield the decoded frames.

        Raises:
            IntegrityError: a frame is of another kind than the first.
        """
        yield self._first
        for number in range(2, self._count + 1):
            pixels, photometric = self._decoded(number)
            if photometric != self._photometric:
                raise IntegrityError("frames of one instance have different colors")
            yield pixels

    def written(self, pieces: Sequence[bytes | Span]) -> Iterator[bytes]:
        """Yield the data set of ``head`` as ``dicom.recode`` has it, decoded frames included."""
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
            elif piece.start == self._pixel.offset:
                yield from self._filled()
            else:
                yield self._frames.peek(piece.start, piece.stop)

    def _filled(self) -> Iterator[bytes]:
        """Yield the frames, and what makes their length even."""
        yield from self.frames()
        if self._count * self._image.frame_bytes % 2:
            yield b"\0"

    def _decoded(self, number: int) -> tuple[bytes, str]:
        frame = self._frames.frame(number)
        return self._decoder.native(self._image, frame, self._frames.compartment)


def native_frame(head: InstanceHead, frames: Frames, decoder: Decoder, number: int) -> bytes:
    """Return one frame's native pixels.

    Raises:
        NotFoundError: no such frame.
        RadkeepError: what ``decoder`` tells of the frame.
    """
    frame = frames.frame(number)
    image, _ = image_of(head, frames.peek)
    pixels, _ = decoder.native(image, frame, frames.compartment)
    return pixels
