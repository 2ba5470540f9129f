# SPDX-License-Identifier: Apache-2.0
"""WADO-RS: rendered resources and thumbnails (PS3.18 Sections 10.4.1.1.3 and 10.4.1.1.5).

Invariant: this door only translates; pictures are drawn in the sandbox. The first picture is made
before the status leaves, so that its error can be told.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from starlette.responses import Response

from radkeep.dicom.looks import Look, Picture
from radkeep.domain.actor import Actor
from radkeep.domain.errors import Kind, NotFoundError, RadkeepError, TooLargeError
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.retrieved import Retrieved
from radkeep.web.dicomweb.accept import ranges_of
from radkeep.web.dicomweb.addresses import address_of, base_of
from radkeep.web.dicomweb.looks import Wish, wish_of
from radkeep.web.dicomweb.wado import PURPOSE, find, parse_frames
from radkeep.web.kit.multipart import Part, StreamedMultipart
from radkeep.web.kit.problems import NotAcceptableError
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.streaming import Pieces

MAX_PICTURES: Final = 2_000  # of one answer
_TRIED: Final = 8  # instances of a study or series, for the sake of a thumbnail


class Rendered:
    """Handlers of the resources that are pictures."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def instances(self, request: Incoming, actor: Actor) -> Response:
        """Answer the pictures of a study, a series or an instance: one an instance."""
        wish = wish_of(request.query, ranges_of(request))
        found = find(self._fetch, request, actor, purpose=PURPOSE)
        if len(found) > MAX_PICTURES:
            raise TooLargeError("too many pictures for one answer")
        one = "instance" in request.path_params
        if not one and wish.multipart is False:
            raise NotAcceptableError("several pictures come as multipart/related")
        pictures = _drawn(request, ((each, _middle(each)) for each in found), wish.look, one=one)
        return _answer(wish, pictures, multipart=not one or wish.multipart is True)

    def frames(self, request: Incoming, actor: Actor) -> Response:
        """Answer the pictures of frames, or of pages of a document."""
        wish = wish_of(request.query, ranges_of(request))
        numbers = parse_frames(request.path_params["frames"])
        (instance,) = find(self._fetch, request, actor, purpose=PURPOSE)
        several = len(numbers) > 1
        if several and wish.multipart is False:
            raise NotAcceptableError("several pictures come as multipart/related")
        wanted = ((instance, number) for number in numbers)
        pictures = _drawn(request, wanted, wish.look, one=True)
        return _answer(wish, pictures, multipart=several or wish.multipart is True)

    def thumbnail(self, request: Incoming, actor: Actor) -> Response:
        """Answer a small picture that stands for a study, a series, an instance or a frame."""
        wish = wish_of(request.query, ranges_of(request), thumbnail=True)
        if wish.multipart:
            raise NotAcceptableError("a thumbnail is a single picture")
        found = find(self._fetch, request, actor, purpose=PURPOSE)
        if "frames" in request.path_params:
            (number,) = parse_frames(request.path_params["frames"])[:1]
            wanted = iter([(found[0], number)])
        else:
            wanted = ((each, _middle(each)) for each in _likely(found))
        one = len(found) == 1
        return _answer(wish, _drawn(request, wanted, wish.look, one=one), multipart=False)


def _drawn(
    request: Incoming, wanted: Iterator[tuple[Retrieved, int]], look: Look, *, one: bool
) -> Iterator[Part]:
    """Yield the pictures; among several instances those that are no images are left out."""
    base = base_of(request)
    for each, number in wanted:
        try:
            picture = each.rendered(number, look)
        except RadkeepError as error:
            if one or error.kind is not Kind.UNSUPPORTED:
                raise
            continue
        yield _part(base, each, number, picture)


def _part(base: str, each: Retrieved, number: int, picture: Picture) -> Part:
    stored = each.stored
    address = address_of(base, stored.study, stored.series, stored.sop_instance)
    location = f"{address}/frames/{number}/rendered"
    return Part(
        picture.media_type, len(picture.content), iter([picture.content]), location=location
    )


def _answer(wish: Wish, pictures: Iterator[Part], *, multipart: bool) -> Response:
    first = next(pictures, None)
    if first is None:
        raise NotAcceptableError("there is nothing here that can be drawn")
    headers = {"Warning": "; ".join(f'299 radkeep "{each}"' for each in wish.warnings)}
    if not wish.warnings:
        headers = {}
    if multipart:
        body = StreamedMultipart(wish.look.media_type, chain([first], pictures))
        return Pieces(body.pieces(), length=None, media_type=body.media_type, headers=headers)
    return Pieces(
        first.pieces,
        length=first.length,
        media_type=first.content_type,
        headers=headers | {"Content-Location": first.location},
    )


def _middle(each: Retrieved) -> int:
    """Return the frame that stands for an instance."""
    return (max(each.stored.frames, 1) + 1) // 2


def _likely(found: Sequence[Retrieved]) -> Sequence[Retrieved]:
    """Return instances from the middle outwards, that are likely to show what it is about."""
    if not found:
        raise NotFoundError("no such study, series or instance")
    middle = len(found) // 2
    order = sorted(range(len(found)), key=lambda at: abs(at - middle))
    return [found[at] for at in order[:_TRIED]]
