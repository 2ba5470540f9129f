# SPDX-License-Identifier: Apache-2.0
"""The head of a record: everything about an instance but its large values.

Invariant: metadata, frames, bulk data and a rebuild of the catalog need the head and byte ranges
of the body, never the whole body.

Positions: ``cuts`` count from the start of ``elements + tail``. All other positions are *body*
positions (bytes as received), or, for a deflated data set, positions in the inflated data set.
"""

from collections.abc import Mapping
from typing import Final, Protocol, Self

import msgspec

from radkeep.dicom.headers import FRAGMENT, Cut
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.errors import IntegrityError
from radkeep.domain.uid import Uid

VERSION: Final = 1

Span = tuple[int, int]  # start and stop


class PixelLayout(msgspec.Struct, frozen=True, array_like=True):
    """Where Pixel Data lies (PS3.5 Section 8 and Annex A.4)."""

    tag: int  # 7FE00010, 7FE00008 or 7FE00009
    vr: str
    offset: int  # of the value
    length: int  # bytes from the value's start to its end, item headers and delimiter included
    frames: int  # Number of Frames; 1 when absent or nonsense
    frame_bits: int  # bits of one native frame; 0 when unknown
    fragments: bytes = b""  # ``FRAGMENT`` each; the first item is the Basic Offset Table
    base: int = 0  # to be added to the positions of fragments
    encapsulated: bool = False
    word: int = 1  # bytes of a big endian word, to be turned on the way out; 1: nothing to turn

    def fragment_spans(self) -> list[Span]:
        """Return where the fragments lie, the Basic Offset Table first."""
        return [
            (self.base + start, self.base + start + length)
            for start, length in FRAGMENT.iter_unpack(self.fragments)
        ]


class Named(Protocol):
    """The facts that a head repeats; see ``dicom.facts.Facts``."""

    @property
    def sop_class(self) -> Uid:
        """Return the SOP Class UID."""
        ...

    @property
    def sop_instance(self) -> Uid:
        """Return the SOP Instance UID."""
        ...

    @property
    def study(self) -> Uid:
        """Return the Study Instance UID."""
        ...

    @property
    def series(self) -> Uid:
        """Return the Series Instance UID."""
        ...

    @property
    def transfer_syntax(self) -> str:
        """Return the UID of the transfer syntax."""
        ...


class Scanned(Protocol):
    """What a scan says; see ``dicom.scanner.Scan``."""

    @property
    def facts(self) -> Named:
        """Return who the instance is."""
        ...

    @property
    def layout(self) -> "Layout":
        """Return where everything lies."""
        ...


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of an instance lie, and the small ones themselves."""

    data_set_offset: int  # in the body
    data_set_length: int  # bytes in the body
    elements: bytes  # before Pixel Data, inflated, values over the cut length left out
    tail: bytes  # after Pixel Data, likewise
    cuts: tuple[Cut, ...]
    pixel: PixelLayout | None


class InstanceHead(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before Pixel Data, where the rest lies, and where the instance came from."""

    version: int = VERSION
    sop_class: str
    sop_instance: str
    study: str
    series: str
    transfer_syntax: str
    digest: bytes  # SHA-256 of the data set bytes as received
    received_length: int  # bytes of the body: what was received, preamble and meta included
    layout: Layout
    origin: dict[str, str]

    @classmethod
    def of(
        cls, scan: Scanned, *, digest: bytes, received_length: int, origin: Mapping[str, str]
    ) -> Self:
        """Return the head of the instance that was scanned."""
        facts = scan.facts
        return cls(
            sop_class=str(facts.sop_class),  # MessagePack knows no subclasses
            sop_instance=str(facts.sop_instance),
            study=str(facts.study),
            series=str(facts.series),
            transfer_syntax=str(facts.transfer_syntax),
            digest=digest,
            received_length=received_length,
            layout=scan.layout,
            origin=dict(origin),
        )

    @property
    def data_set_offset(self) -> int:
        """Return where the data set begins in the body."""
        return self.layout.data_set_offset

    @property
    def data_set_length(self) -> int:
        """Return the bytes of the data set in the body."""
        return self.layout.data_set_length

    @property
    def pixel(self) -> PixelLayout | None:
        """Return where Pixel Data lies."""
        return self.layout.pixel

    @property
    def deflated(self) -> bool:
        """Tell whether positions count in the inflated data set instead of the body."""
        return syntax(self.transfer_syntax).deflated

    def encode(self) -> bytes:
        """Return the head as MessagePack, which ``decode`` reads."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, encoded: bytes) -> "InstanceHead":
        """Return the head that ``encode`` wrote.

        Raises:
            IntegrityError: ``encoded`` is something else.
        """
        try:
            head = _DECODER.decode(encoded)
        except msgspec.DecodeError:
            raise IntegrityError("a record's head cannot be read") from None
        if head.version != VERSION:
            raise IntegrityError("a record's head has an unknown version")
        return head


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(InstanceHead)
