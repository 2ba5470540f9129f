# SPDX-License-Identifier: Apache-2.0
"""How a picture of a frame, or of a page, is asked for (PS3.18 Section 8.3.5)."""

from typing import Final

import msgspec

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
LINEAR: Final = "LINEAR"
FUNCTIONS: Final = (LINEAR, "LINEAR_EXACT", "SIGMOID")
MAX_VIEW: Final = 8192  # pixels a side

Window = tuple[float, float, str]  # center, width, function


class Viewport(msgspec.Struct, frozen=True, kw_only=True):
    """What part of the picture to show, and how large at most, in pixels."""

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    source_width: float = 0.0  # 0: to the edge; negative: mirrored
    source_height: float = 0.0


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How a picture is asked for."""

    media_type: str = JPEG
    quality: int = 90  # of JPEG, 1 to 100
    window: Window | None = None  # in place of the instance's own
    viewport: Viewport | None = None


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that any browser shows."""

    media_type: str
    content: bytes
    width: int
    height: int
    pages: int = 1  # of the document it is from
