# SPDX-License-Identifier: Apache-2.0
"""What workers do, by name.

Invariant: importing this module loads every codec, so that nothing is left to load behind the door.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw

from radkeep.dicom.image import Image
from radkeep.sandbox import documents, wire
from radkeep.sandbox.codecs import decode
from radkeep.sandbox.pixels import native
from radkeep.sandbox.rendering import render
from radkeep.sandbox.requests import PAGE, RENDER, TRANSCODE, Native, PageOf, Rendering
from radkeep.sandbox.wire import Buffer
from radkeep.sandbox.worker import Operation


def _transcode(parameters: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
    image: Image = wire.decode(parameters, Image)
    found, photometric = decode(image, parts[0])
    return native(image, found), Native(photometric)


def _render(parameters: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
    return render(wire.decode(parameters, Rendering), parts)


def _page(parameters: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
    return documents.page(wire.decode(parameters, PageOf), parts)


OPERATIONS: Final[Mapping[str, Operation]] = {
    TRANSCODE: _transcode,
    RENDER: _render,
    PAGE: _page,
}
