# SPDX-License-Identifier: Apache-2.0
"""What the way out needs where it has to look into pixels or documents."""

from collections.abc import Iterator
from typing import Protocol

from radkeep.dicom.image import Image, Presentation
from radkeep.dicom.looks import Look, Picture

Frame = tuple[int, Iterator[bytes]]  # length, and the bytes, which are taken once


class Decoder(Protocol):
    """Where compressed pixels and documents are looked into: never in this process. Thread-safe.

    ``compartment`` names whose bytes they are: what decodes those of one never sees another's.
    Each call raises UnavailableError when decoding is not possible now or takes too long,
    TooLargeError beyond a limit, and other errors of its own when the bytes are damaged, or of a
    kind that nothing decodes.
    """

    def native(self, image: Image, frame: Frame, compartment: str) -> tuple[bytes, str]:
        """Return a frame's native pixels and the photometric interpretation that they have."""
        ...

    def render(
        self, image: Image, frame: Frame, shown: Presentation, look: Look, compartment: str
    ) -> Picture:
        """Return a frame as a picture."""
        ...

    def page(self, document: Frame, number: int, look: Look, compartment: str) -> Picture:
        """Return a page of a PDF document, counted from 1, as a picture."""
        ...


class Frames(Protocol):
    """The parts of an instance that decoding needs."""

    @property
    def compartment(self) -> str:
        """Return whose bytes these are."""
        ...

    def frame(self, number: int) -> Frame:
        """Return a frame as stored, counted from 1."""
        ...

    def peek(self, start: int, stop: int) -> bytes:
        """Return a range of the body, or of what a deflated data set inflates to."""
        ...

    def bulk(self, path: str) -> Frame:
        """Return the value at a path of ``dicom.bulk``."""
        ...
