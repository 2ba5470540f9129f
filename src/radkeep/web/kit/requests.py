# SPDX-License-Identifier: Apache-2.0
"""One HTTP request as handlers see it, its body bounded in size and time.

Invariant: no more of a body is held than a route's limit, and a client that dribbles loses its
place. Header fields that become part of an answer are checked first.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError, TooLargeError, UnsupportedError
from radkeep.web.kit.problems import RequestTimeoutError

MAX_BODY_BYTES: Final = 64 << 10  # of forms and JSON
MAX_FIELDS: Final = 200  # of a form or a query
IDLE: Final = 30.0  # seconds without a byte
GRACE: Final = 30.0  # seconds before the rate counts
MIN_RATE: Final = 2048  # bytes per second on average; slower is an attack or a broken line
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORTS: Final = {"http": 80, "https": 443}
_T = TypeVar("_T")


class ClientGoneError(Exception):
    """The client went away; there is nobody to answer."""


class Incoming(Request):
    """A request; ``content`` is its body where the route takes forms or JSON."""

    content: bytes = b""
    admitted: Actor | None = None  # who sent it, once the door has counted them in

    @property
    def address(self) -> str:
        """Return the peer's network address, or "" on the control socket."""
        return self.client.host if self.client else ""

    @property
    def origin(self) -> str:
        """Return scheme and authority under which the client sees this server.

        Raises:
            InvalidRequestError: the Host header is missing or no host name.
        """
        host = self.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise InvalidRequestError("the Host header is not a host name")
        scheme, server = self.scope["scheme"], self.scope.get("server")
        if host in _LOOPBACK and server and server[1] not in (None, _PORTS.get(scheme)):
            host = f"{host}:{server[1]}"  # some clients leave the port out; no proxy is in between
        return f"{scheme}://{host}"

    @property
    def query(self) -> list[tuple[str, str]]:
        """Return the query's keys and values in order.

        Raises:
            InvalidRequestError: not a form-encoded query, or too many keys.
        """
        return _fields(self.scope["query_string"])

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields of a form; of a repeated one the last.

        Raises:
            UnsupportedError: the body is not a form.
            InvalidRequestError: not form-encoded, or too many fields.
        """
        if self._media_type() != "application/x-www-form-urlencoded":
            raise UnsupportedError("the body must be application/x-www-form-urlencoded")
        return dict(_fields(self.content))

    def decoded(self, shape: type[_T]) -> _T:
        """Return the JSON body as ``shape``.

        Raises:
            UnsupportedError: the body is not JSON.
            InvalidRequestError: the body has another shape.
        """
        if self._media_type() != "application/json":
            raise UnsupportedError("the body must be application/json")
        try:
            return msgspec.json.decode(self.content, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequestError(f"the body is not as expected: {error}") from None

    def _media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def _fields(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise InvalidRequestError("not form-encoded, or too many fields") from None


def declared_length(request: Request) -> int | None:
    """Return Content-Length, or None if the body is chunked.

    Raises:
        InvalidRequestError: it is not a number.
    """
    raw = request.headers.get("content-length")
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 18):  # noqa: PLR2004 - 10**18 bytes
        raise InvalidRequestError("Content-Length is not a number")
    return int(raw)


async def body_pieces(request: Request, *, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes.

    Raises:
        TooLargeError: longer than ``limit`` bytes; told before the first byte if declared.
        UnsupportedError: the body is compressed (a bomb costs nothing to send).
        RequestTimeoutError: the client is too slow.
        ClientGoneError: the client went away.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedError("compressed bodies are not accepted")
    if (declared_length(request) or 0) > limit:
        raise TooLargeError("the body is over the size limit")
    loop = asyncio.get_running_loop()
    started, received = loop.time(), 0
    while True:
        until = min(loop.time() + IDLE, started + GRACE + received / MIN_RATE)
        try:
            async with asyncio.timeout_at(until):
                message = await request.receive()
        except TimeoutError:
            raise RequestTimeoutError("the request comes too slowly") from None
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece: bytes = message.get("body", b"")
        received += len(piece)
        if received > limit:
            raise TooLargeError("the body is over the size limit")
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def whole_body(request: Request, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the body at once.

    Raises:
        TooLargeError, UnsupportedError, RequestTimeoutError, ClientGoneError: as ``body_pieces``.
    """
    return b"".join([piece async for piece in body_pieces(request, limit=limit)])
