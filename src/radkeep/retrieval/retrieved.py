# SPDX-License-Identifier: Apache-2.0
"""One instance on its way out, in the forms that doors ask for.

Invariant: the data set leaves bit for bit as it came; file meta and preamble are always our own
(PS3.10 Section 7.1; the preamble is zeroed, so that a file is never also a program).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain

from radkeep.dicom.bulk import locate
from radkeep.dicom.frames import frame_spans
from radkeep.dicom.head import InstanceHead, PixelLayout
from radkeep.dicom.inflate import inflated
from radkeep.dicom.json_model import metadata
from radkeep.dicom.looks import Look, Picture
from radkeep.dicom.part10 import file_meta
from radkeep.dicom.recode import Span as RecodedSpan
from radkeep.dicom.recode import length_of, recoded
from radkeep.dicom.words import turned
from radkeep.domain.errors import IntegrityError, UnavailableError
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.ports import RecordReader, StoredInstance
from radkeep.retrieval.rendering import rendered
from radkeep.retrieval.transcoding import Transcoded, native_frame

Span = tuple[int, int]  # start and stop, in bytes of what was received


class Retrieved:
    """One stored instance. Belongs to one thread at a time."""

    def __init__(
        self, stored: StoredInstance, records: RecordReader, decoder: Decoder | None = None
    ) -> None:
        self.stored = stored
        self._records = records
        self._decoder = decoder

    @cached_property
    def head(self) -> InstanceHead:
        """Return everything that was received before Pixel Data, and where the rest lies.

        Raises:
            IntegrityError: the record is damaged, or not that of the instance asked for.
        """
        head = InstanceHead.decode(self._records.head(self.stored.placement))
        # The digest too: a quarantined namesake under the same study's key must not stand in.
        if head.sop_instance != self.stored.sop_instance or head.digest != self.stored.digest:
            raise IntegrityError("a record is not that of the instance in the catalog")
        return head

    @cached_property
    def _meta(self) -> bytes:
        stored = self.stored
        return file_meta(stored.sop_class, stored.sop_instance, stored.transfer_syntax)

    def part10_length(self) -> int:
        """Return the bytes that ``part10`` yields."""
        return len(self._meta) + self.stored.data_set_length

    def part10(self) -> Iterator[bytes]:
        """Yield the instance as a DICOM file (PS3.10)."""
        yield self._meta
        yield from self.data_set()

    def data_set(self) -> Iterator[bytes]:
        """Yield the data set as it was received, without file meta."""
        start = self.head.data_set_offset
        yield from self._body(start, start + self.stored.data_set_length)

    def data_set_in(self, transfer_syntax: str) -> Iterator[bytes]:
        """Return the pieces of the data set in another, uncompressed transfer syntax.

        Compressed pixels are decoded in the sandbox while the pieces are taken, the first frame
        before this returns; no step loses anything.

        Raises:
            NotDecodableError: nothing here makes that syntax, or decodes the stored one.
            UndecodableError: the head holds no data set.
            UnavailableError: decoding is not possible now.
            RadkeepError: what ``Decoder`` tells of the first frame.
        """
        return self._recoded(transfer_syntax)[1]

    def part10_in(self, transfer_syntax: str) -> tuple[int, Iterator[bytes]]:
        """Return length and pieces of a DICOM file (PS3.10) in another transfer syntax.

        Raises:
            RadkeepError: as ``data_set_in``.
        """
        stored = self.stored
        meta = file_meta(stored.sop_class, stored.sop_instance, transfer_syntax)
        length, pieces = self._recoded(transfer_syntax)
        return len(meta) + length, chain([meta], pieces)

    def _recoded(self, transfer_syntax: str) -> tuple[int, Iterator[bytes]]:
        pixel = self.head.pixel
        if pixel is None or not pixel.encapsulated:
            parts = recoded(self.head, transfer_syntax)
            return length_of(parts), self._written(parts)
        made = Transcoded(self.head, self, self._decoding())
        parts = recoded(made.head, transfer_syntax)
        return length_of(parts), made.written(parts)

    def _written(self, pieces: Sequence[bytes | RecodedSpan]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
            elif piece.word > 1:
                yield from turned(self._read([(piece.start, piece.stop)]), piece.word)
            else:
                yield from self._read([(piece.start, piece.stop)])

    def metadata(self, base_url: str) -> bytes:
        """Return the instance as a DICOM JSON object (PS3.18 Annex F), bulk data by address.

        Args:
            base_url: the address of this instance, to which bulk data addresses are appended.
        """
        return metadata(self.head, base_url)

    def frame(self, number: int) -> tuple[int, Iterator[bytes]]:
        """Return the length and the bytes of frame ``number``, counted from 1.

        Native frames leave in little endian, whatever byte order they came in (PS3.18
        Section 8.7.3.5.2).

        Raises:
            NotFoundError: no such frame, or no pixel data.
        """
        spans = frame_spans(self.head, number, self.peek)
        length, pixel = sum(stop - start for start, stop in spans), self.head.pixel
        if pixel is None or pixel.word == 1:
            return length, self._read(spans)
        ((start, _),) = spans  # native: in one piece
        return length, self._turned(pixel, start, length)

    def native_frame(self, number: int) -> bytes:
        """Return the native pixels of compressed frame ``number``, counted from 1.

        Raises:
            NotFoundError: no such frame, or no pixel data.
            RadkeepError: as ``data_set_in``.
        """
        return native_frame(self.head, self, self._decoding(), number)

    def rendered(self, number: int, look: Look) -> Picture:
        """Return frame ``number``, or that page of a PDF document, as a picture.

        Raises:
            NotFoundError: no such frame or page.
            NotDecodableError: the instance is no image and no document.
            RadkeepError: as ``data_set_in``.
        """
        return rendered(self.head, self, self._decoding(), number, look)

    @property
    def compartment(self) -> str:
        """Return whose pictures these are, for the sandbox."""
        return self.stored.placement.key_id.hex()

    def bulk(self, path: str) -> tuple[int, Iterator[bytes]]:
        """Return the length and the bytes of one value that ``metadata`` names by address.

        Raises:
            NotFoundError: ``path`` names no value of this instance.
        """
        spans = locate(self.head, path)
        return sum(stop - start for start, stop in spans), self._read(spans)

    def bulk_part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start`` to ``stop`` of such a value, reading no others.

        Raises:
            NotFoundError: ``path`` names no value of this instance.
        """
        spans, at = [], 0
        for first, last in locate(self.head, path):
            low, high = max(first, first + start - at), min(last, first + stop - at)
            if low < high:
                spans.append((low, high))
            at += last - first
        return self._read(spans)

    def _decoding(self) -> Decoder:
        if self._decoder is None:
            raise UnavailableError("nothing decodes images here: that takes a running server")
        return self._decoder

    def _turned(self, pixel: PixelLayout, start: int, length: int) -> Iterator[bytes]:
        """Yield bytes of big endian pixels in little endian; a frame may begin within a word."""
        skip = (start - pixel.offset) % pixel.word
        whole = -(-(skip + length) // pixel.word) * pixel.word
        first = start - skip
        words = self._read([(first, min(first + whole, pixel.offset + pixel.length))])
        for piece in turned(words, pixel.word):
            part = piece[skip : skip + length]
            skip, length = max(skip - len(piece), 0), length - len(part)
            if part:
                yield part

    def peek(self, start: int, stop: int) -> bytes:
        """Return a range of the body, or of what a deflated data set inflates to."""
        return b"".join(self._read([(start, stop)]))

    def _read(self, spans: Sequence[Span]) -> Iterator[bytes]:
        """Yield ranges: of the body, or of what a deflated data set inflates to."""
        for start, stop in spans:
            if stop <= start:
                continue
            if self.head.deflated:
                yield from inflated(self.data_set(), start, stop)
            else:
                yield from self._body(start, stop)

    def _body(self, start: int, stop: int) -> Iterator[bytes]:
        return self._records.body(self.stored.placement, start, stop)
