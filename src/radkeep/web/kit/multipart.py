# SPDX-License-Identifier: Apache-2.0
"""multipart/related, read as it comes and written with its exact length (RFC 2046, RFC 2387).

Invariant: a part's bytes go to the sink as they arrive and are never gathered; whatever is no
multipart message raises InvalidRequestError and nothing else.
"""

import logging
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from radkeep.domain.errors import InvalidRequestError, UnsupportedError
from radkeep.web.kit.media_types import MediaType

MAX_PARTS: Final = 100_000  # of one request
MAX_PART_HEADERS: Final = 16
MAX_HEADER_BYTES: Final = 1024  # of one header line in a part
MAX_PREAMBLE: Final = 4096  # bytes before the first part, which nobody reads (RFC 2046 5.1.1)
# RFC 2046 allows 70 characters; a widespread archive sends 73.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,199}[0-9A-Za-z'()+_,./:=?-]")
_SILENT: Final = logging.Logger(  # noqa: LOG001 - belongs to no tree: its words echo the body
    "multipart", logging.CRITICAL + 1
)


class Sink(Protocol):
    """Takes the parts of a message."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start a part; header names are lower case."""
        ...

    def data(self, data: memoryview) -> None:
        """Take more of the part; the memory is the sink's until it returns."""
        ...

    def end(self) -> None:
        """End the part."""
        ...


def boundary_of(media_type: MediaType) -> bytes:
    """Return the boundary of a multipart media type.

    Raises:
        UnsupportedError: not multipart/related.
        InvalidRequestError: no boundary, or not one of RFC 2046 Section 5.1.1.
    """
    if media_type.name != "multipart/related":
        raise UnsupportedError("the body must be multipart/related")
    boundary = media_type.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequestError("the boundary of the multipart body is missing or malformed")
    return boundary.encode("ascii")


class PartReader:
    """Feeds the parts of one message to a sink. Errors of the sink pass through."""

    def __init__(self, boundary: bytes, sink: Sink) -> None:
        self._sink = sink
        self._headers: dict[str, str] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._parts = 0
        self._ended = False
        self._start: Final = b"--" + boundary
        self._preamble: bytearray | None = bytearray()  # None: the first part has begun
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": sink.end,
                "on_end": self._end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        self._parser.logger = _SILENT

    def feed(self, data: bytes) -> None:
        """Take more of the message; what follows its end is ignored (RFC 2046 Section 5.1.1).

        Raises:
            InvalidRequestError: not a multipart message.
        """
        if self._ended:
            return
        if self._preamble is not None:
            data = self._skip(self._preamble, data)
        try:
            self._parser.write(data)
        except FormParserError:
            raise InvalidRequestError("the body is not a multipart message") from None

    def _skip(self, preamble: bytearray, data: bytes) -> bytes:
        """Return what comes after the preamble; the parser's own way depends on the pieces."""
        if not preamble and data.startswith(self._start):
            self._preamble = None
            return data
        preamble += data
        if preamble.startswith(self._start):
            at = 0
        else:
            at = preamble.find(b"\r\n" + self._start, 0, MAX_PREAMBLE + len(self._start)) + 2
            if at < 2:  # noqa: PLR2004 - not found
                if len(preamble) >= MAX_PREAMBLE + len(self._start):
                    raise InvalidRequestError("the multipart body begins with something else")
                return b""
        self._preamble = None
        return bytes(preamble[at:])

    def finish(self) -> None:
        """Say that the body ended.

        Raises:
            InvalidRequestError: the message did not.
        """
        if not self._ended:
            raise InvalidRequestError("the multipart body ends early")

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequestError("the body has too many parts")
        self._headers = {}

    def _header_field(self, data: bytes, start: int, stop: int) -> None:
        self._name += data[start:stop]

    def _header_value(self, data: bytes, start: int, stop: int) -> None:
        self._value += data[start:stop]

    def _header_end(self) -> None:
        name = self._name.decode("latin-1").lower()
        self._headers.setdefault(name, self._value.decode("latin-1").strip())
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        self._sink.begin(self._headers)

    def _part_data(self, data: bytes, start: int, stop: int) -> None:
        self._sink.data(memoryview(data)[start:stop])

    def _end(self) -> None:
        self._ended = True


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a response."""

    content_type: str
    length: int
    pieces: Iterator[bytes]
    location: str = ""


class MultipartBody:
    """A multipart/related body of one part or more, its length known before its first byte."""

    def __init__(self, root_type: str, parts: Sequence[Part]) -> None:
        boundary = secrets.token_hex(16)  # random: no content can hold it but by design
        self.media_type: Final = f'multipart/related; type="{root_type}"; boundary={boundary}'
        self._heads = [_head(boundary, part) for part in parts]
        self._heads[0] = self._heads[0].removeprefix(b"\r\n")
        self._parts = parts
        self._close = f"\r\n--{boundary}--\r\n".encode("ascii")
        self.length: Final = (
            sum(map(len, self._heads)) + sum(part.length for part in parts) + len(self._close)
        )

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        for head, part in zip(self._heads, self._parts, strict=True):
            yield head
            yield from part.pieces
        yield self._close


class StreamedMultipart:
    """A multipart/related body whose parts are made one after the other, while it leaves."""

    def __init__(self, root_type: str, parts: Iterator[Part]) -> None:
        self._boundary = secrets.token_hex(16)
        self.media_type: Final = f'multipart/related; type="{root_type}"; boundary={self._boundary}'
        self._parts = parts

    def pieces(self) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            RadkeepError: a part cannot be made.
        """
        line = b"\r\n"  # belongs to the boundary that follows content
        for number, part in enumerate(self._parts):
            head = _head(self._boundary, part)
            yield head if number else head.removeprefix(line)
            yield from part.pieces
        yield line + f"--{self._boundary}--\r\n".encode("ascii")


def _head(boundary: str, part: Part) -> bytes:
    lines = [
        f"\r\n--{boundary}",
        f"Content-Type: {part.content_type}",
        f"Content-Length: {part.length}",
    ]
    if part.location:
        lines.append(f"Content-Location: {part.location}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
