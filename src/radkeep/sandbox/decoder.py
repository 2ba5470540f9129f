# SPDX-License-Identifier: Apache-2.0
"""The sandbox as the way out sees it: frames and documents in, pixels and pictures out.

Invariant: an answer that has not the size, the kind or the beginning of what was asked for is a
crash of the worker, whatever the worker says.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from radkeep.dicom.image import Image, Presentation
from radkeep.dicom.looks import JPEG, MAX_VIEW, PNG, Look, Picture
from radkeep.sandbox import wire
from radkeep.sandbox.client import MAX_OUTPUT, Sandbox
from radkeep.sandbox.errors import DecoderCrashedError
from radkeep.sandbox.requests import (
    PAGE,
    RENDER,
    TRANSCODE,
    Made,
    Native,
    PageOf,
    Rendering,
)
from radkeep.sandbox.wire import Input, NotAMessageError, held

_COLORS: Final = frozenset({"RGB", "YBR_FULL"})  # what a codestream's colors become
_BEGINNINGS: Final = {JPEG: b"\xff\xd8\xff", PNG: b"\x89PNG\r\n\x1a\n"}
_HEADERS: Final = 1 << 20  # bytes of a picture beside its pixels


class SandboxDecoder:
    """Decodes in the workers of a sandbox. Thread-safe."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def native(self, image: Image, frame: Input, compartment: str) -> tuple[bytes, str]:
        """Return a frame's native pixels and the photometric interpretation that they have.

        Raises:
            RadkeepError: what ``Sandbox.run`` raises.
        """
        room = image.frame_bytes
        result = self._sandbox.run(TRANSCODE, image, [frame], room=room, compartment=compartment)
        made: Native = _said(result.body, Native)
        if len(result.output) != room or made.photometric not in {image.photometric, *_COLORS}:
            raise _nonsense()
        return result.output, made.photometric

    def render(
        self, image: Image, frame: Input, shown: Presentation, look: Look, compartment: str
    ) -> Picture:
        """Return a frame as a picture.

        Raises:
            RadkeepError: what ``Sandbox.run`` raises.
        """
        wanted = Rendering(image=image, look=look)
        parts = [frame, held(msgspec.msgpack.encode(shown))]
        view = look.viewport
        pixels = view.width * view.height if view else image.rows * image.columns * _stretch(shown)
        room = min(_HEADERS + 4 * pixels, MAX_OUTPUT)
        result = self._sandbox.run(RENDER, wanted, parts, room=room, compartment=compartment)
        return _picture(result.output, result.body, look)

    def page(self, document: Input, number: int, look: Look, compartment: str) -> Picture:
        """Return a page of a PDF document, counted from 1, as a picture.

        Raises:
            RadkeepError: what ``Sandbox.run`` raises.
        """
        wanted = PageOf(number=number, look=look)
        room = _HEADERS + 4 * MAX_VIEW * MAX_VIEW
        result = self._sandbox.run(PAGE, wanted, [document], room=room, compartment=compartment)
        return _picture(result.output, result.body, look)


def _stretch(shown: Presentation) -> int:
    """Return how many pixels one becomes when pixels are made square."""
    high, wide = shown.aspect
    return -(-max(high, wide) // min(high, wide))


def _picture(output: bytes, body: Raw, look: Look) -> Picture:
    made: Made = _said(body, Made)
    if not output.startswith(_BEGINNINGS[look.media_type]) or min(made.width, made.height) < 1:
        raise _nonsense()
    return Picture(
        media_type=look.media_type,
        content=output,
        width=made.width,
        height=made.height,
        pages=max(1, made.pages),
    )


def _said(body: Raw, of: type[Any]) -> Any:  # noqa: ANN401 - msgspec checks it
    try:
        return wire.decode(body, of)
    except NotAMessageError:
        raise _nonsense() from None


def _nonsense() -> DecoderCrashedError:
    return DecoderCrashedError("the decoder answered nonsense")
