# SPDX-License-Identifier: Apache-2.0
"""QIDO-RS: search (PS3.18 Section 10.6).

Invariant: this door only translates; a key it does not understand is refused, for a search that
silently ignored one would show other patients than were asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec
from starlette.responses import Response

from radkeep.dicom.dictionary import tag_of
from radkeep.dicom.query import ALL, MAX_OFFSET, Level, Match, Query
from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.domain.uid import Uid
from radkeep.retrieval.search import Search
from radkeep.web.dicomweb.accept import choose_json
from radkeep.web.dicomweb.addresses import address_of, base_of
from radkeep.web.kit.requests import Incoming

MAX_RESULTS: Final = {Level.STUDY: 1_000, Level.SERIES: 5_000, Level.INSTANCE: 10_000}
_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_ALL: Final = (_STUDY, _SERIES, "00080018")
_RETRIEVE_URL: Final = "00081190"
_MAX_DIGITS: Final = 8

Row = dict[str, msgspec.Raw]
_row: Final = msgspec.json.Decoder(Row)
_value: Final = msgspec.json.Decoder(dict[str, str | list[str]])


class Qido:
    """Handlers of the search resources."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def studies(self, request: Incoming, actor: Actor) -> Response:
        """Answer /studies."""
        return self._answer(request, actor, Level.STUDY)

    def series(self, request: Incoming, actor: Actor) -> Response:
        """Answer /series and /studies/{study}/series."""
        return self._answer(request, actor, Level.SERIES)

    def instances(self, request: Incoming, actor: Actor) -> Response:
        """Answer /instances and the same below a study or a series."""
        return self._answer(request, actor, Level.INSTANCE)

    def _answer(self, request: Incoming, actor: Actor, level: Level) -> Response:
        media_type = choose_json(request)
        base = base_of(request)
        asked = parse(request.query, level, request.path_params)
        page = self._search.run(actor, level, asked.query, protocol="qido-rs")
        body = b"[" + b",".join(_with_address(row, base, level) for row in page.rows) + b"]"
        response = Response(body, media_type=media_type)
        if page.more:
            response.headers.append("Warning", asked.more_warning(base))
        if asked.fuzzy:
            response.headers.append(
                "Warning",
                f'299 {base} "The fuzzymatching parameter is not supported. '
                'Only literal matching has been performed."',
            )
        return response


class Asked(msgspec.Struct, frozen=True):
    """A search request, parsed."""

    query: Query
    capped: bool  # the server's maximum is smaller than what the client wants
    fuzzy: bool  # fuzzy matching was asked for, and is not done

    def more_warning(self, service: str) -> str:
        """Return the warning that results remain (PS3.18 Section 8.3.4.4)."""
        if self.capped:
            said = (
                "The number of results exceeded the maximum supported by the server. "
                "Additional results can be requested."
            )
        else:
            said = "There are additional results that can be requested"
        return f'299 {service} "{said}"'


def parse(keys: Sequence[tuple[str, str]], level: Level, path: dict[str, str]) -> Asked:
    """Return the search that a request's query keys and path ask for.

    Raises:
        InvalidRequestError: an unknown, repeated or malformed key.
        InvalidUidError: a UID in path or query is none.
    """
    filters: dict[tuple[int, ...], Match] = {}
    include: list[int] | Literal["all"] = []
    numbers: dict[str, int] = {}
    fuzzy = False
    for key, value in keys:
        if key == "includefield":
            include = _included(include, value)
        elif key in {"limit", "offset"}:
            if key in numbers:
                raise InvalidRequestError(f"{key} is given twice")
            numbers[key] = _number(key, value)
        elif key == "fuzzymatching":
            if value not in {"true", "false"}:
                raise InvalidRequestError("fuzzymatching is true or false")
            fuzzy = value == "true"
        elif key != "accept":
            where = _path(key)
            if where in filters:
                raise InvalidRequestError("an attribute is given twice")
            filters[where] = Match.parse(where, value)
    cap = MAX_RESULTS[level]
    wanted = numbers.get("limit")
    query = Query(
        filters=tuple(filters.values()),
        include=include if include == ALL else tuple(include),
        limit=cap if wanted is None else min(wanted, cap),
        offset=numbers.get("offset", 0),
        study=Uid.parse(path["study"]) if "study" in path else None,
        series=Uid.parse(path["series"]) if "series" in path else None,
    )
    return Asked(query, wanted is None or wanted > cap, fuzzy)


def _included(sofar: list[int] | Literal["all"], value: str) -> list[int] | Literal["all"]:
    if sofar == ALL:
        return ALL
    names = [name.strip() for name in value.split(",")]
    if ALL in names:
        return ALL
    return [*sofar, *(_path(name)[-1] for name in names)]


def _path(name: str) -> tuple[int, ...]:
    tags = [tag_of(part) for part in name.split(".")]
    known = tuple(tag for tag in tags if tag is not None)
    if len(known) != len(tags):
        raise InvalidRequestError("a query key is neither a parameter nor an attribute")
    return known


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise InvalidRequestError(f"{key} is not a number")
    number = int(value)
    if key == "limit" and number == 0:
        raise InvalidRequestError("limit is at least 1")
    if key == "offset" and number > MAX_OFFSET:
        raise InvalidRequestError(f"offset is at most {MAX_OFFSET}: name more keys instead")
    return number


def _with_address(encoded: bytes, base: str, level: Level) -> bytes:
    """Return a result with its Retrieve URL, keys in ascending order (PS3.18 Section F.2.2)."""
    row = _row.decode(encoded)
    tags = {Level.STUDY: (_STUDY,), Level.SERIES: (_STUDY, _SERIES)}
    address = address_of(base, *(_uid(row, tag) for tag in tags.get(level, _ALL)))
    value = msgspec.json.encode({"vr": "UR", "Value": [address]})
    row[_RETRIEVE_URL] = msgspec.Raw(value)
    return msgspec.json.encode(dict(_sorted(row)))


def _sorted(row: Row) -> Iterator[tuple[str, msgspec.Raw]]:
    yield from sorted(row.items())


def _uid(row: Row, tag: str) -> str:
    value = _value.decode(row[tag])["Value"]
    return value[0]
