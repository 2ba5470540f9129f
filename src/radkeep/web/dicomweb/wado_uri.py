# SPDX-License-Identifier: Apache-2.0
"""WADO-URI: one instance by the query of one address (PS3.18 Chapter 9).

Invariant: what a parameter demands is done or refused; only parameters that the standard does not
know are ignored, as it wants.
"""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.domain.uid import Uid
from radkeep.retrieval.fetch import Fetch
from radkeep.web.dicomweb.accept import DICOM, choose_instances
from radkeep.web.kit.media_types import MediaType, parse_accept
from radkeep.web.kit.problems import NotAcceptableError
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.streaming import Pieces

PURPOSE: Final = "wado-uri"
_NEEDED: Final = ("requestType", "studyUID", "seriesUID", "objectUID")
_KNOWN: Final = frozenset({*_NEEDED, "contentType", "transferSyntax", "anonymize"})
# Of drawn pictures; they mean nothing for the instance itself (Section 9.1.2.1).
_PICTURE: Final = frozenset(
    {
        "annotation",
        "columns",
        "frameNumber",
        "imageQuality",
        "presentationSeriesUID",
        "presentationUID",
        "region",
        "rows",
        "windowCenter",
        "windowWidth",
    }
)


class WadoUri:
    """Handler of the one resource."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def object(self, request: Incoming, actor: Actor) -> Response:
        """Answer /wado."""
        asked = parameters(request)
        ranges = _ranges(request, asked)
        names = [Uid.parse(asked[name]) for name in _NEEDED[1:]]
        (found,) = self._fetch.instances(actor, *names, purpose=PURPOSE)
        stored = found.stored.transfer_syntax
        choose_instances(ranges, {stored}, one=True)
        if asked.get("transferSyntax", stored) != stored:
            raise NotAcceptableError("stored in another transfer syntax, and not transcoded")
        return Pieces(
            found.part10(),
            length=found.part10_length(),
            media_type=f"{DICOM}; transfer-syntax={stored}",
        )


def parameters(request: Incoming) -> Mapping[str, str]:
    """Return what the query asks for.

    Raises:
        InvalidRequestError: a parameter is missing, given twice, or demands what is not done.
    """
    asked: dict[str, str] = {}
    for key, value in request.query:
        if key not in _KNOWN and key not in _PICTURE:
            continue
        if key in asked:
            raise InvalidRequestError(f"{key} is given twice")
        asked[key] = value
    for name in _NEEDED:
        if not asked.get(name):
            raise InvalidRequestError(f"{name} is missing")
    if asked["requestType"] != "WADO":
        raise InvalidRequestError("requestType is WADO")
    if "anonymize" in asked:  # never answered with what names the patient
        raise InvalidRequestError("anonymize is not done here")
    if "transferSyntax" in asked:
        Uid.parse(asked["transferSyntax"])
    return asked


def _ranges(request: Incoming, asked: Mapping[str, str]) -> tuple[MediaType, ...]:
    """Return what is acceptable as the instance itself.

    Raises:
        NotAcceptableError: only a picture is, which an image without contentType is.
    """
    wanted = parse_accept(asked.get("contentType", ""))
    if not any(each.name == DICOM for each in wanted):
        raise NotAcceptableError("only application/dicom is given here: name it as contentType")
    accepted = parse_accept(", ".join(request.headers.getlist("accept")))
    if accepted and not any(each.name in {DICOM, "application/*", "*/*"} for each in accepted):
        raise NotAcceptableError("the Accept header refuses what contentType asks for")
    return tuple(each for each in wanted if each.name == DICOM)
