# SPDX-License-Identifier: Apache-2.0
"""Reads an instance as it arrives: who it is, what the catalog needs, where its frames lie.

Invariants: any bytes give a ``Scan`` or a RadkeepError; memory is bounded whatever comes; pixel
data are passed over, not copied; pieces of any size give the same ``Scan``.
"""

from dataclasses import dataclass
from typing import Final

from radkeep.dicom import levels
from radkeep.dicom.dictionary import DOUBLE_PIXEL_DATA, FLOAT_PIXEL_DATA
from radkeep.dicom.facts import Facts
from radkeep.dicom.head import Layout, PixelLayout
from radkeep.dicom.headers import coding
from radkeep.dicom.inflate import Inflater
from radkeep.dicom.meta import MetaReader
from radkeep.dicom.syntaxes import syntax
from radkeep.dicom.walker import Walker
from radkeep.domain.errors import UndecodableError
from radkeep.domain.uid import Uid

_FLOAT_BITS: Final = {FLOAT_PIXEL_DATA: 32, DOUBLE_PIXEL_DATA: 64}
_SUBSAMPLED: Final = {"YBR_FULL_422": 2, "YBR_PARTIAL_422": 2, "YBR_PARTIAL_420": 1.5}
# samples a pixel (PS3.3 Section C.7.6.3.1.2)

_IDENTITY: Final = frozenset(
    {
        levels.SPECIFIC_CHARACTER_SET,
        levels.SOP_CLASS,
        levels.SOP_INSTANCE,
        levels.PATIENT_ID,
        levels.STUDY_UID,
        levels.SERIES_UID,
    }
)
_META_PIECE: Final = 2 << 10  # bytes copied at a time before the data set's place is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an instance is, known before its pixel data came."""

    study: Uid
    series: Uid
    sop_class: Uid
    sop_instance: Uid
    patient_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All that was found; positions as in ``dicom.head``."""

    facts: Facts
    layout: Layout


class Scanner:
    """Takes one instance piece by piece."""

    def __init__(self, transfer_syntax: str | None) -> None:
        """Begin a data set in ``transfer_syntax``, or with None a DICOM file (PS3.10)."""
        self.data_set_offset = 0  # right as soon as ``identity`` is
        self.identity: Identity | None = None
        self._length = 0
        self._meta = MetaReader() if transfer_syntax is None else None
        self._walker: Walker | None = None
        self._inflater: Inflater | None = None
        self._transfer_syntax = ""
        if transfer_syntax is not None:
            self._begin(Uid.parse(transfer_syntax))

    def feed(self, data: memoryview) -> None:
        """Take more bytes; they may be overwritten when this returns.

        Raises:
            UndecodableError: no data set, or beyond a limit.
            InvalidUidError: one of its four UIDs is no UID.
        """
        self._length += len(data)
        if self._walker is None:
            self._feed_meta(data, last=False)
        else:
            self._take(self._walker, data)

    def finish(self) -> Scan:
        """Say that all bytes came.

        Raises:
            UndecodableError: the data set is not complete, or lacks one of its four UIDs.
            InvalidUidError: one of them is no UID.
        """
        if self._walker is None:
            self._feed_meta(memoryview(b""), last=True)
        walker = self._walker
        if walker is None:
            raise UndecodableError("the file ends before its data set")
        if self._inflater is not None:
            self._inflater.end()
        walker.end()
        facts = self._facts(self._identify(walker), walker)
        kept, at = walker.kept, walker.pixel_at if walker.pixel_tag else len(walker.kept)
        base = self._base
        layout = Layout(
            data_set_offset=self.data_set_offset,
            data_set_length=self._length - self.data_set_offset,
            elements=bytes(kept[:at]),
            tail=bytes(kept[at:]),
            cuts=tuple(
                (place, length, -1 if self._inflater else where + base)
                for place, length, where in walker.cuts
            ),
            pixel=_pixel(walker, facts, base) if walker.pixel_tag else None,
        )
        return Scan(facts=facts, layout=layout)

    @property
    def held(self) -> int:
        """Return the bytes of the instance that are kept so far."""
        walker, meta = self._walker, self._meta
        if walker is not None:
            return len(walker.kept) + len(walker.fragments)
        return len(meta.held) if meta is not None else 0

    @property
    def _base(self) -> int:
        """Return what turns a position in the data set into a head's position."""
        return 0 if self._inflater is not None else self.data_set_offset

    def _feed_meta(self, data: memoryview, *, last: bool) -> None:
        meta = self._meta
        if meta is None:
            return
        for at in range(0, len(data) or 1, _META_PIECE):
            piece = data[at : at + _META_PIECE]
            if meta.take(piece, last=last):
                self._meta = None
                self.data_set_offset = meta.offset
                walker = self._begin(meta.transfer_syntax)
                self._take(walker, memoryview(meta.held)[meta.offset :])
                self._take(walker, data[at + len(piece) :])
                return

    def _begin(self, transfer_syntax: str) -> Walker:
        encoding = syntax(transfer_syntax)
        self._transfer_syntax = transfer_syntax
        self._inflater = Inflater() if encoding.deflated else None
        self._walker = Walker(coding(explicit=encoding.explicit, big=encoding.big), levels.WANTED)
        return self._walker

    def _take(self, walker: Walker, data: memoryview) -> None:
        if self._inflater is None:
            walker.take(data)
        else:
            for piece in self._inflater.take(data):
                walker.take(memoryview(piece))
        if self.identity is None and walker.last > levels.SERIES_UID:
            self._identify(walker)

    def _identify(self, walker: Walker) -> Identity:
        if self.identity is None:
            facts = Facts.of(walker.values(_IDENTITY), self._transfer_syntax)
            self.identity = Identity(
                study=facts.study,
                series=facts.series,
                sop_class=facts.sop_class,
                sop_instance=facts.sop_instance,
                patient_id=facts.patient_id,
            )
        return self.identity

    def _facts(self, identity: Identity, walker: Walker) -> Facts:
        """Return all facts; the UIDs need no second look, because attributes never repeat."""
        return Facts(
            sop_class=identity.sop_class,
            sop_instance=identity.sop_instance,
            study=identity.study,
            series=identity.series,
            transfer_syntax=self._transfer_syntax,
            raw=walker.values(),
            big=syntax(self._transfer_syntax).big,
        )


def _pixel(walker: Walker, facts: Facts, base: int) -> PixelLayout:
    return PixelLayout(
        tag=walker.pixel_tag,
        vr=walker.pixel_vr,
        offset=walker.pixel_start + base,
        length=walker.pixel_length,
        frames=facts.frames,
        frame_bits=_frame_bits(walker, facts),
        fragments=bytes(walker.fragments),
        base=base,
        encapsulated=walker.encapsulated,
        word=_word(walker, facts) if facts.big and not walker.encapsulated else 1,
    )


def _word(walker: Walker, facts: Facts) -> int:
    """Return the bytes of one word: a sample of 32 bits is one word for those who write them."""
    if walker.pixel_vr == "OB":
        return 1
    return (
        _FLOAT_BITS.get(walker.pixel_tag) or max(facts.integer(levels.BITS_ALLOCATED) or 0, 16)
    ) // 8


def _frame_bits(walker: Walker, facts: Facts) -> int:
    pixels = (facts.integer(levels.ROWS) or 0) * (facts.integer(levels.COLUMNS) or 0)
    bits = _FLOAT_BITS.get(walker.pixel_tag) or facts.integer(levels.BITS_ALLOCATED) or 0
    samples = facts.integer(levels.SAMPLES) or 1
    whole = pixels * bits * samples
    if samples == 1:
        return whole
    thinned = _SUBSAMPLED.get(facts.text(levels.PHOTOMETRIC))
    if thinned is None or walker.pixel_length * 8 >= whole * facts.frames:
        return whole  # some writers say subsampled and send every sample
    return int(pixels * bits * thinned)
