# SPDX-License-Identifier: Apache-2.0
"""What a client accepts against what is stored (PS3.18 Section 8.7).

Invariant: pure; the answer is the first of the client's ranges that the stored bytes satisfy, as
they are or decoded, or NotAcceptableError. Bytes are decoded only for a client that asks for
explicit VR little endian by name, or that would misread them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from radkeep.dicom.syntaxes import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from radkeep.web.kit.media_types import MediaType, parse_accept
from radkeep.web.kit.problems import NotAcceptableError
from radkeep.web.kit.requests import Incoming

DICOM: Final = "application/dicom"
DICOM_JSON: Final = "application/dicom+json"
OCTETS: Final = "application/octet-stream"
MULTIPART: Final = "multipart/related"
_ANY: Final = frozenset({"*/*", "multipart/*", MULTIPART})
_JSON: Final = frozenset({"*/*", "application/*", "application/json", DICOM_JSON})

# PS3.18 Tables 8.7.3-2 and 8.7.3-5: the media type of compressed frames.
_FRAME_TYPES: Final[Mapping[str, str]] = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.100": "video/mpeg",
    "1.2.840.10008.1.2.4.101": "video/mpeg",
    "1.2.840.10008.1.2.4.102": "video/mp4",
    "1.2.840.10008.1.2.4.103": "video/mp4",
    "1.2.840.10008.1.2.4.104": "video/mp4",
    "1.2.840.10008.1.2.4.105": "video/mp4",
    "1.2.840.10008.1.2.4.106": "video/mp4",
    "1.2.840.10008.1.2.4.107": "video/mp4",
    "1.2.840.10008.1.2.4.108": "video/mp4",
}
# Viewers get 12-bit JPEG wrong, so bytes of no named syntax are decoded for them.
_MISREAD: Final = frozenset({"1.2.840.10008.1.2.4.51"})
_DECODED: Final = frozenset({DICOM, OCTETS})  # media types that decoded bytes can have
_NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is packed."""

    media_type: str  # of the part, or of the whole if single
    multipart: bool
    decoded: bool = False  # into explicit VR little endian, whatever is stored


def ranges_of(request: Incoming) -> tuple[MediaType, ...]:
    """Return what the client accepts: the query's ``accept`` or the header (Section 8.3.3.1).

    Raises:
        InvalidRequestError: malformed.
    """
    for key, value in request.query:
        if key == "accept":
            return parse_accept(value)
    return parse_accept(", ".join(request.headers.getlist("accept")))


def choose_json(request: Incoming) -> str:
    """Return the JSON media type to answer with.

    Raises:
        NotAcceptableError: the client wants something else.
    """
    ranges = ranges_of(request)
    if not ranges:
        return DICOM_JSON
    for each in ranges:
        for known in (DICOM_JSON, "application/json"):
            if each.name in _JSON and _covers(each.name, known) and known not in each.without:
                return known
    raise NotAcceptableError("this resource is application/dicom+json")


def choose_instances(ranges: Sequence[MediaType], syntaxes: Collection[str], *, one: bool) -> Form:
    """Return how instances stored in ``syntaxes`` leave; ``one`` if there is a single one.

    Raises:
        NotAcceptableError: the client wants another media type or transfer syntax.
    """
    return _choose(ranges, {DICOM}, syntaxes, single=one, prefer_single=False)


def choose_frames(ranges: Sequence[MediaType], syntax: str, *, one: bool) -> Form:
    """Return how frames stored in ``syntax`` leave; ``one`` if a single frame is asked for.

    Raises:
        NotAcceptableError: the client wants another media type or transfer syntax.
    """
    types = {OCTETS}
    if syntax in _FRAME_TYPES:
        types.add(_FRAME_TYPES[syntax])
    form = _choose(ranges, types, {frame_syntax(syntax)}, single=one, prefer_single=False)
    if form.media_type != OCTETS:
        return replace(form, decoded=False)
    if syntax in _MISREAD and not _names(ranges, syntax):
        return replace(form, decoded=True)
    return form


def choose_bulk(ranges: Sequence[MediaType]) -> Form:
    """Return how one bulk data value leaves.

    Raises:
        NotAcceptableError: the client wants another media type.
    """
    return _choose(ranges, {OCTETS}, (), single=True, prefer_single=True)


def frame_syntax(stored: str) -> str:
    """Return the syntax that describes a frame's bytes; VRs, deflate and byte order do not show."""
    return EXPLICIT_LITTLE if stored in _NATIVE else stored


def _names(ranges: Sequence[MediaType], syntax: str) -> bool:
    return any(each.parameters.get("transfer-syntax") == syntax for each in ranges)


def _choose(
    ranges: Sequence[MediaType],
    types: Collection[str],
    syntaxes: Collection[str],
    *,
    single: bool,
    prefer_single: bool,
) -> Form:
    usual = OCTETS if OCTETS in types else next(iter(types))
    if not ranges:
        return Form(usual, multipart=not prefer_single)
    for each in ranges:
        multipart = each.name in _ANY and not (each.name == "*/*" and prefer_single)
        wanted = each.parameters.get("type", "*/*").lower() if multipart else each.name
        if not (multipart or single):
            continue
        as_stored = _serves(each.parameters, syntaxes)
        named = [known for known in types if _covers(wanted, known) and known not in each.without]
        if as_stored and named:
            return Form(usual if usual in named else named[0], multipart=multipart)
        decoded = each.parameters.get("transfer-syntax") == EXPLICIT_LITTLE
        if decoded and usual in named and usual in _DECODED:
            return Form(usual, multipart=multipart, decoded=True)
    raise NotAcceptableError("stored in another media type or transfer syntax")


def _covers(wanted: str, known: str) -> bool:
    return wanted in {"*/*", known, known.partition("/")[0] + "/*"}


def _serves(parameters: Mapping[str, str], syntaxes: Collection[str]) -> bool:
    demanded = parameters.get("transfer-syntax", "*")
    return demanded == "*" or all(demanded == each for each in syntaxes)
