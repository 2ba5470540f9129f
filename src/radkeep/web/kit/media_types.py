# SPDX-License-Identifier: Apache-2.0
"""Media types and lists of them as header fields spell them (RFC 9110 Sections 8.3.1 and 12.5.1).

Invariant: any text gives values or InvalidRequestError, in time linear in its length.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from radkeep.domain.errors import InvalidRequestError

MAX_HEADER: Final = 4096  # characters
MAX_RANGES: Final = 32
_TYPE: Final = re.compile(r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*")
# Unquoted values with a slash are no tokens, but viewers send type=application/dicom.
_PARAMETER: Final = re.compile(
    r";[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r'(?:"((?:[^"\\]|\\.)*)"|([!#$%&\'*+.^_`|~0-9A-Za-z:/-]+))[ \t]*)?'
)
_QUALITY: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range, lower case, with its parameters."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    quality: float = 1.0  # of a range in Accept
    without: frozenset[str] = frozenset()  # of a range: types that the same field refuses by q=0


def parse_media_type(text: str) -> MediaType:
    """Return the media type that a Content-Type field names.

    Raises:
        InvalidRequestError: it names none.
    """
    if len(text) > MAX_HEADER:
        raise InvalidRequestError("a media type is too long")
    parsed, end = _media_type(text, 0)
    if end != len(text):
        raise InvalidRequestError("not a media type")
    return parsed


@lru_cache(maxsize=256)  # clients repeat theirs with every frame
def parse_accept(text: str) -> tuple[MediaType, ...]:
    """Return the ranges of an Accept field, the preferred first; empty accepts everything.

    Raises:
        InvalidRequestError: not a list of media ranges, or too long.
    """
    if len(text) > MAX_HEADER:
        raise InvalidRequestError("the Accept header is too long")
    found: list[MediaType] = []
    at = 0
    while at < len(text):
        if text[at] in ", \t":
            at += 1
            continue
        parsed, at = _media_type(text, at)
        if at < len(text) and text[at] != ",":
            raise InvalidRequestError("not a list of media types")
        found.append(parsed)
        if len(found) > MAX_RANGES:
            raise InvalidRequestError("the Accept header names too many media types")
    refused = frozenset(
        each.parameters.get("type", each.name).lower() for each in found if each.quality == 0
    )
    wanted = [
        replace(each, without=refused) if refused else each for each in found if each.quality > 0
    ]
    if found and not wanted:
        return (MediaType("nothing/nothing"),)
    return tuple(sorted(wanted, key=lambda each: -each.quality))


def _media_type(text: str, at: int) -> tuple[MediaType, int]:
    found = _TYPE.match(text, at)
    if not found:
        raise InvalidRequestError("not a media type")
    at = found.end()
    parameters: dict[str, str] = {}
    while at < len(text) and text[at] == ";":
        parameter = _PARAMETER.match(text, at)
        if not parameter:
            raise InvalidRequestError("a media type's parameter is malformed")
        at = parameter.end()
        name, quoted, plain = parameter.groups()
        if name is not None:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            parameters.setdefault(name.lower(), value)
    raw = parameters.pop("q", "1")
    if not _QUALITY.fullmatch(raw):
        raise InvalidRequestError("a media type's quality is malformed")
    return MediaType(found[1].lower(), parameters, float(raw)), at
