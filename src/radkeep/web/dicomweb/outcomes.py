# SPDX-License-Identifier: Apache-2.0
"""The answer to a store request (PS3.18 Section 10.5.3 and Table 10.5.3-1).

Invariant: every part of the request is in exactly one of the three sequences.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from radkeep.dicom.scanner import Identity
from radkeep.dicom.status import store_status
from radkeep.domain.errors import InvalidRequestError, Kind, RadkeepError
from radkeep.ingest.store import Receipt
from radkeep.web.dicomweb.addresses import address_of

_SOP_CLASS: Final = "00081150"
_SOP_INSTANCE: Final = "00081155"
_RETRIEVE_URL: Final = "00081190"
_FAILURE_REASON: Final = "00081197"
_FAILED: Final = "00081198"
_REFERENCED: Final = "00081199"
_OTHER_FAILURES: Final = "0008119A"

Json = dict[str, Any]


class Outcomes:
    """What became of each part."""

    def __init__(self) -> None:
        self._stored: list[Receipt] = []
        self._failed: list[Json] = []
        self._others: list[Json] = []
        self._kinds: set[Kind] = set()

    def stored(self, receipt: Receipt) -> None:
        """Note an instance that is safe."""
        self._stored.append(receipt)

    def refused(self, error: RadkeepError, identity: Identity | None) -> None:
        """Note a part that was not stored; ``identity`` if it had told it."""
        reason = {"vr": "US", "Value": [store_status(error)]}
        self._kinds.add(error.kind)
        if identity is None:
            self._others.append({_FAILURE_REASON: reason})
            return
        self._failed.append(
            {
                _SOP_CLASS: _uid(identity.sop_class),
                _SOP_INSTANCE: _uid(identity.sop_instance),
                _FAILURE_REASON: reason,
            }
        )

    def response(self, base: str, media_type: str) -> Response:
        """Return the answer.

        Args:
            base: the address of the DICOMweb root.
            media_type: the JSON media type to answer with.

        Raises:
            InvalidRequestError: the request held no part at all.
        """
        if not (self._stored or self._failed or self._others):
            raise InvalidRequestError("the request holds no instance")
        body: Json = {}
        studies = {receipt.facts.study for receipt in self._stored}
        if len(studies) == 1:
            body[_RETRIEVE_URL] = _url(address_of(base, studies.pop()))
        if self._failed:
            body[_FAILED] = _sequence(self._failed)
        if self._stored:
            body[_REFERENCED] = _sequence(_reference(each, base) for each in self._stored)
        if self._others:
            body[_OTHER_FAILURES] = _sequence(self._others)
        return Response(msgspec.json.encode(body), self._status(), media_type=media_type)

    def _status(self) -> HTTPStatus:
        if not (self._failed or self._others):
            return HTTPStatus.OK
        if self._stored:
            return HTTPStatus.ACCEPTED
        if self._kinds == {Kind.TOO_LARGE}:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if self._kinds == {Kind.NO_ROOM}:
            return HTTPStatus.INSUFFICIENT_STORAGE
        if self._kinds == {Kind.UNAVAILABLE}:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.CONFLICT


def _reference(receipt: Receipt, base: str) -> Json:
    facts = receipt.facts
    address = address_of(base, facts.study, facts.series, facts.sop_instance)
    return {
        _SOP_CLASS: _uid(facts.sop_class),
        _SOP_INSTANCE: _uid(facts.sop_instance),
        _RETRIEVE_URL: _url(address),
    }


def _uid(value: str) -> Json:
    return {"vr": "UI", "Value": [str(value)]}  # the encoder knows no Uid


def _url(value: str) -> Json:
    return {"vr": "UR", "Value": [value]}


def _sequence(items: Iterable[Json]) -> Json:
    return {"vr": "SQ", "Value": list(items)}
