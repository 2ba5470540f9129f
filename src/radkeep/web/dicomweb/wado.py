# SPDX-License-Identifier: Apache-2.0
"""WADO-RS: retrieval (PS3.18 Section 10.4).

Invariant: bytes leave in the transfer syntax in which they are stored, or decoded without loss; a
body's length is told before its first byte, except that of metadata beyond ``WHOLE`` bytes and of
what is decoded while it leaves.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Final

from starlette.responses import Response

from radkeep.dicom.syntaxes import EXPLICIT_LITTLE
from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.domain.uid import Uid
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.retrieved import Retrieved
from radkeep.web.dicomweb.accept import (
    DICOM,
    OCTETS,
    Form,
    choose_bulk,
    choose_frames,
    choose_instances,
    choose_json,
    frame_syntax,
    ranges_of,
)
from radkeep.web.dicomweb.addresses import address_of, base_of
from radkeep.web.kit.multipart import MultipartBody, Part, StreamedMultipart
from radkeep.web.kit.ranges import window_of
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.streaming import Pieces

PURPOSE: Final = "wado-rs"
MAX_FRAMES: Final = 1_000  # in one request
MAX_FRAME_DIGITS: Final = 9
WHOLE: Final = 4 << 20  # bytes of metadata that are gathered for the sake of their length


class Wado:
    """Handlers of the retrieve resources."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def instances(self, request: Incoming, actor: Actor) -> Response:
        """Answer a study, a series or an instance."""
        ranges = ranges_of(request)
        found = self._find(request, actor)
        one = len(found) == 1 and "instance" in request.path_params
        form = choose_instances(ranges, {each.stored.transfer_syntax for each in found}, one=one)
        if form.decoded:
            return _streamed(form, (_decoded(request, each) for each in found))
        return _packed(form, DICOM, [_instance(request, each) for each in found])

    def metadata(self, request: Incoming, actor: Actor) -> Response:
        """Answer the metadata of a study, a series or an instance."""
        media_type = choose_json(request)
        found = self._find(request, actor)
        pieces = _array(each.metadata(_address(request, each)) for each in found)
        first: list[bytes] = []
        size = 0
        for piece in pieces:
            first.append(piece)
            size += len(piece)
            if size > WHOLE:
                return Pieces(chain(first, pieces), length=None, media_type=media_type)
        return Pieces(iter(first), length=size, media_type=media_type)

    def frames(self, request: Incoming, actor: Actor) -> Response:
        """Answer one frame or several."""
        numbers = parse_frames(request.path_params["frames"])
        ranges = ranges_of(request)
        instance = self._find(request, actor)[0]
        stored = instance.stored.transfer_syntax
        form = choose_frames(ranges, stored, one=len(numbers) == 1)
        if form.decoded:
            return self._decoded_frames(request, form, instance, numbers)
        content_type = f"{form.media_type}; transfer-syntax={frame_syntax(stored)}"
        address = _address(request, instance)
        parts = []
        for number in numbers:
            length, pieces = instance.frame(number)
            parts.append(Part(content_type, length, pieces, f"{address}/frames/{number}"))
        return _packed(form, form.media_type, parts)

    def _decoded_frames(
        self, request: Incoming, form: Form, instance: Retrieved, numbers: Sequence[int]
    ) -> Response:
        content_type = f"{OCTETS}; transfer-syntax={EXPLICIT_LITTLE}"
        address = _address(request, instance)

        def part(number: int) -> Part:
            pixels = instance.native_frame(number)
            return Part(content_type, len(pixels), iter([pixels]), f"{address}/frames/{number}")

        return _streamed(form, map(part, numbers))

    def bulk(self, request: Incoming, actor: Actor) -> Response:
        """Answer one value that metadata names by address."""
        form = choose_bulk(ranges_of(request))
        path = request.path_params["path"]
        instance = self._find(request, actor)[0]
        length, pieces = instance.bulk(path)
        location = f"{_address(request, instance)}/bulkdata/{path}"
        if form.multipart:
            return _packed(form, OCTETS, [Part(OCTETS, length, pieces, location)])
        return _ranged(request, instance, path, Part(OCTETS, length, pieces, location))

    def _find(self, request: Incoming, actor: Actor) -> Sequence[Retrieved]:
        return find(self._fetch, request, actor, purpose=PURPOSE)


def find(fetch: Fetch, request: Incoming, actor: Actor, *, purpose: str) -> Sequence[Retrieved]:
    """Return the instances that a request's path names.

    Raises:
        InvalidUidError: a UID in the path is none.
        NotFoundError: no such object, or not for this actor.
    """
    path = request.path_params
    return fetch.instances(
        actor,
        Uid.parse(path["study"]),
        Uid.parse(path["series"]) if "series" in path else None,
        Uid.parse(path["instance"]) if "instance" in path else None,
        purpose=purpose,
    )


def _ranged(request: Incoming, instance: Retrieved, path: str, whole: Part) -> Response:
    """Return one value, or of it the bytes that the client asks for."""
    headers = {"Content-Location": whole.location, "Accept-Ranges": "bytes"}
    window = window_of(request, whole.length)
    if window is None:
        return Pieces(whole.pieces, length=whole.length, media_type=OCTETS, headers=headers)
    start, stop = window
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{whole.length}"
    return Pieces(
        instance.bulk_part(path, start, stop),
        length=stop - start,
        media_type=OCTETS,
        status=HTTPStatus.PARTIAL_CONTENT,
        headers=headers,
    )


def parse_frames(raw: str) -> tuple[int, ...]:
    """Return the frame numbers of a frame list, counted from 1.

    Raises:
        InvalidRequestError: not a list of positive numbers, or too long.
    """
    words = raw.split(",", MAX_FRAMES)
    if len(words) > MAX_FRAMES:
        raise InvalidRequestError("too many frames in one request")
    if not all(
        word.isascii() and word.isdigit() and len(word) <= MAX_FRAME_DIGITS for word in words
    ):
        raise InvalidRequestError("the frame list is not a list of numbers")
    numbers = tuple(map(int, words))
    if min(numbers) < 1:
        raise InvalidRequestError("frames are counted from 1")
    return numbers


def _packed(form: Form, root_type: str, parts: Sequence[Part]) -> Response:
    if not form.multipart:
        part = parts[0]
        headers = {"Content-Location": part.location} if part.location else None
        return Pieces(
            part.pieces, length=part.length, media_type=part.content_type, headers=headers
        )
    body = MultipartBody(root_type, parts)
    return Pieces(body.pieces(), length=body.length, media_type=body.media_type)


def _streamed(form: Form, parts: Iterator[Part]) -> Response:
    """Return what is decoded part by part; the first part now, so that its error can be told."""
    first = next(parts)
    if not form.multipart:
        return _packed(form, form.media_type, [first])
    body = StreamedMultipart(form.media_type, chain([first], parts))
    return Pieces(body.pieces(), length=None, media_type=body.media_type)


def _decoded(request: Incoming, each: Retrieved) -> Part:
    if each.stored.transfer_syntax == EXPLICIT_LITTLE:
        return _instance(request, each)
    content_type = f"{DICOM}; transfer-syntax={EXPLICIT_LITTLE}"
    length, pieces = each.part10_in(EXPLICIT_LITTLE)
    return Part(content_type, length, pieces, _address(request, each))


def _instance(request: Incoming, each: Retrieved) -> Part:
    content_type = f"{DICOM}; transfer-syntax={each.stored.transfer_syntax}"
    return Part(content_type, each.part10_length(), each.part10(), _address(request, each))


def _address(request: Incoming, each: Retrieved) -> str:
    stored = each.stored
    return address_of(base_of(request), stored.study, stored.series, stored.sop_instance)


def _array(objects: Iterator[bytes]) -> Iterator[bytes]:
    separator = b"["
    for each in objects:
        yield separator + each
        separator = b","
    yield b"]"
