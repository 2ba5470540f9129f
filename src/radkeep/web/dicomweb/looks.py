# SPDX-License-Identifier: Apache-2.0
"""How a client wants to see an image: media type and query (PS3.18 Sections 8.3.5 and 8.7.4).

Invariant: pure; a key or value that is not understood is refused, one that is understood and not
done is told in a Warning.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from radkeep.dicom.looks import FUNCTIONS, JPEG, LINEAR, MAX_VIEW, PNG, Look, Viewport, Window
from radkeep.domain.errors import InvalidRequestError
from radkeep.web.kit.media_types import MediaType
from radkeep.web.kit.problems import NotAcceptableError

THUMBNAIL: Final = 128  # pixels a side, where none are asked for
_ANY: Final = frozenset({"*/*", "image/*"})
_MULTIPART: Final = frozenset({"multipart/*", "multipart/related"})
_ANNOTATIONS: Final = frozenset({"patient", "technique"})
_PROFILES: Final = frozenset({"no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"})
_MAX_WORD: Final = 24  # characters of one number
_FAR: Final = 1e9

Keys = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for pictures, parsed."""

    look: Look
    multipart: bool | None  # None: whatever is usual for the resource
    warnings: tuple[str, ...]  # what is asked for and not done


def wish_of(keys: Keys, ranges: Sequence[MediaType], *, thumbnail: bool = False) -> Wish:
    """Return what query and accepted media types ask for.

    Raises:
        InvalidRequestError: an unknown, repeated or malformed key.
        NotAcceptableError: no media type that is made here.
    """
    given: dict[str, str] = {}
    for key, value in keys:
        if key in given:
            raise InvalidRequestError(f"{key} is given twice" if key in _KEYS else "a key twice")
        given[key] = value
    known = {"accept", "viewport"} if thumbnail else _KEYS
    if not given.keys() <= known:
        raise InvalidRequestError("the query has a key that rendering does not know")
    media_type, multipart = _form(ranges)
    warnings = []
    if not set(given.get("annotation", "patient").split(",")) <= _ANNOTATIONS:
        raise InvalidRequestError("annotation is patient, technique, or both")
    if "annotation" in given:
        warnings.append("Annotations are not burned in.")
    profile = given.get("iccprofile", "no")
    if profile not in _PROFILES:
        raise InvalidRequestError("iccprofile has an unknown value")
    if profile != "no":
        warnings.append("No color profile is included.")
    viewport = _viewport(given["viewport"]) if "viewport" in given else None
    if thumbnail and viewport is None:
        viewport = Viewport(width=THUMBNAIL, height=THUMBNAIL)
    look = Look(
        media_type=media_type,
        quality=_quality(given.get("quality", "90")),
        window=_window(given["window"]) if "window" in given else None,
        viewport=viewport,
    )
    return Wish(look, multipart, tuple(warnings))


_KEYS: Final = frozenset({"accept", "annotation", "quality", "viewport", "window", "iccprofile"})


def _form(ranges: Sequence[MediaType]) -> tuple[str, bool | None]:
    if not ranges:
        return JPEG, None
    for each in ranges:
        multipart = each.name in _MULTIPART
        wanted = each.parameters.get("type", "*/*").lower() if multipart else each.name
        for known in (JPEG, PNG):
            if (wanted == known or wanted in _ANY) and known not in each.without:
                return known, multipart if multipart or wanted == known else None
    raise NotAcceptableError("pictures are image/jpeg or image/png")


def _quality(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 3 and 1 <= int(raw) <= 100):  # noqa: PLR2004
        raise InvalidRequestError("quality is a number from 1 to 100")
    return int(raw)


def _window(raw: str) -> Window:
    """Parse center, width and function (PS3.18 Section 8.3.5.1.4)."""
    words = raw.split(",", 3)
    function = LINEAR
    if len(words) == 3:  # noqa: PLR2004
        function = words.pop().upper().replace("-", "_")
    if len(words) != 2 or function not in FUNCTIONS:  # noqa: PLR2004
        raise InvalidRequestError("window is a center, a width and a function")
    center, width = map(_number, words)
    if width < 1 and (function == LINEAR or width <= 0):
        raise InvalidRequestError("the width of a window is at least 1")
    return center, width, function


def _viewport(raw: str) -> Viewport:
    """Parse width and height, and the part to show (PS3.18 Section 8.3.5.1.3)."""
    words = raw.split(",", 6)
    if len(words) not in (2, 6):
        raise InvalidRequestError("viewport has two or six numbers")
    sides = words[:2]
    if not all(
        word.isascii() and word.isdigit() and len(word) <= 5 and 1 <= int(word) <= MAX_VIEW  # noqa: PLR2004
        for word in sides
    ):
        raise InvalidRequestError(f"a viewport has sides of 1 to {MAX_VIEW} pixels")
    numbers = [_number(word) if word else 0.0 for word in words[2:]] or [0.0] * 4
    if min(numbers[:2]) < 0:
        raise InvalidRequestError("the part of an image begins within it")
    return Viewport(
        width=int(sides[0]),
        height=int(sides[1]),
        x=numbers[0],
        y=numbers[1],
        source_width=numbers[2],
        source_height=numbers[3],
    )


def _number(word: str) -> float:
    try:
        number = float(word) if len(word) <= _MAX_WORD and word.isascii() else math.nan
    except ValueError:
        number = math.nan
    if not abs(number) < _FAR:
        raise InvalidRequestError("a number in the query is none, or too large")
    return number
