# SPDX-License-Identifier: Apache-2.0
"""An uncompressed data set in another uncompressed transfer syntax.

Invariant: not a bit of a value is lost; only headers, lengths of sequences and the order of bytes
change, and group lengths, which would be wrong then, are left out.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from radkeep.dicom.dictionary import printed_vr
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.headers import FORMS, SHORT, UNDEFINED, coding
from radkeep.dicom.json_values import width_of
from radkeep.dicom.reader import Event, What, read
from radkeep.dicom.syntaxes import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, syntax
from radkeep.dicom.words import swapped
from radkeep.domain.errors import NotDecodableError, UnsupportedError

SOURCES: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
TARGETS: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

_ITEM: Final = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
_ITEM_END: Final = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_SEQUENCE_END: Final = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
_PIXEL_REPRESENTATION: Final = 0x00280103
_PADDING: Final = 0xFFFCFFFC
_MAX_SHORT: Final = 0xFFFE  # bytes of a value whose length has 16 bits


class Span(NamedTuple):
    """A value that is not in the head."""

    start: int  # in bytes of what was received, or of what a deflated data set inflates to
    stop: int
    word: int  # bytes whose order is to be turned; 1: none


def recoded(head: InstanceHead, target: str) -> Sequence[bytes | Span]:
    """Return the data set of ``head`` in ``target``, one of ``TARGETS``, piece by piece.

    Raises:
        NotDecodableError: it is compressed, or ``target`` is no uncompressed syntax.
        UndecodableError: the head holds no data set.
    """
    pixel, layout = head.pixel, head.layout
    if (
        head.transfer_syntax not in SOURCES
        or target not in TARGETS
        or (pixel is not None and pixel.encapsulated)
    ):
        raise NotDecodableError("the data set cannot be changed into this transfer syntax")
    border = len(layout.elements)
    before = {place: length for place, length, _ in layout.cuts if place <= border}
    after = {place - border: length for place, length, _ in layout.cuts if place > border}
    writer = _Writer(head, explicit=target == EXPLICIT_LITTLE)
    writer.add(layout.elements, before, _where(head, layout.cuts, 0))
    if pixel is not None:
        writer.header(pixel.tag, pixel.vr, pixel.length)
        writer.span(Span(pixel.offset, pixel.offset + pixel.length, pixel.word))
    writer.add(layout.tail, after, _where(head, layout.cuts, border))
    return writer.pieces()


def _where(
    head: InstanceHead, cuts: Sequence[tuple[int, int, int]], shift: int
) -> Mapping[int, int]:
    """Return where each value that was cut out lies, by its place."""
    if head.deflated and cuts:
        raise UnsupportedError("a deflated data set with large values cannot be changed")
    return {place - shift: where for place, _, where in cuts}


class _Writer:
    def __init__(self, head: InstanceHead, *, explicit: bool) -> None:
        encoding = syntax(head.transfer_syntax)
        self._coding = coding(explicit=encoding.explicit, big=encoding.big)
        self._explicit = explicit
        self._signed = [False]  # Pixel Representation, by level
        self._out = bytearray()
        self._pieces: list[bytes | Span] = []

    def add(self, data: bytes, cuts: Mapping[int, int], where: Mapping[int, int]) -> None:
        """Write the elements of ``data``."""
        for event in read(data, self._coding, cuts):
            match event.what:
                case What.VALUE:
                    self._value(event, data, where)
                case What.OPEN:
                    self.header(event.tag, "SQ", UNDEFINED)
                case What.CLOSE:
                    self._out += _SEQUENCE_END
                case What.ITEM:
                    self._signed.append(self._signed[-1])
                    self._out += _ITEM
                case What.END:
                    self._signed.pop()
                    self._out += _ITEM_END
                case What.FRAGMENTS:
                    raise UnsupportedError("the data set holds compressed data")

    def header(self, tag: int, vr: str, length: int) -> None:
        """Write the header of an element."""
        if not self._explicit:
            self._out += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)
            return
        code = vr.encode()
        if FORMS[code] == SHORT and length <= _MAX_SHORT:
            self._out += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, length)
            return
        if FORMS[code] == SHORT:  # too long for its VR (PS3.5 Section 6.2.2)
            code = b"UN"
        self._out += struct.pack("<HH2sxxI", tag >> 16, tag & 0xFFFF, code, length)

    def span(self, span: Span) -> None:
        """Write a value that is not in the head."""
        self._pieces += (bytes(self._out), span)
        self._out.clear()

    def pieces(self) -> Sequence[bytes | Span]:
        """Return all that was written."""
        return [*self._pieces, bytes(self._out)]

    def _value(self, event: Event, data: bytes, where: Mapping[int, int]) -> None:
        tag, vr = event.tag, event.vr
        if not tag & 0xFFFF or tag == _PADDING:
            return
        turn = width_of(vr) if self._coding.big and event.explicit else 1
        if event.cut:
            self.header(tag, vr, event.length)
            start = where[event.start]
            self.span(Span(start, start + event.length, turn))
            return
        raw = data[event.start : event.start + event.length]
        if tag == _PIXEL_REPRESENTATION:
            self._signed[-1] = any(raw)
        elif not event.explicit and vr == "US" and self._signed[-1]:
            vr = "SS" if printed_vr(tag).startswith("US or SS") else vr
        self.header(tag, vr, len(raw))
        self._out += swapped(raw, turn) if turn > 1 else raw


def length_of(pieces: Sequence[bytes | Span]) -> int:
    """Return the bytes that ``pieces`` are when written."""
    return sum(
        len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces
    )


def lookahead(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece with whether it is the last; an empty one if there is none."""
    held = next(pieces, b"")
    for piece in pieces:
        yield held, False
        held = piece
    yield held, True
