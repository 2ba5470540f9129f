# SPDX-License-Identifier: Apache-2.0
"""Walks a data set as it arrives and keeps what is not large (PS3.5 Sections 7.1 to 7.5, A.4).

Invariants: never recursion; what is kept is at most ``MAX_HEAD_BYTES`` and one piece; the result
does not depend on how the bytes were cut into pieces. Attributes of the data set itself ascend
strictly, so that no attribute can be said twice.

Places: ``_pos`` and the index count in ``kept``; adding ``_shift``, the bytes left out so far,
gives the position in the data set.
"""

from typing import Final

from radkeep.dicom.dictionary import PIXEL_TAGS, sequence_tags
from radkeep.dicom.headers import (
    CUT_BYTES,
    DELIMITERS,
    FORMS,
    FRAGMENT,
    FRAGMENTED,
    IMPLICIT,
    ITEM,
    ITEM_END,
    LONG,
    SEQUENCE_END,
    SEQUENCE_FORM,
    SHORT,
    UNDEFINED,
    Coding,
    Cut,
)
from radkeep.domain.errors import UndecodableError
from radkeep.domain.limits import MAX_ELEMENTS, MAX_HEAD_BYTES, MAX_NESTING

# Bytes taken at a time. It bounds what is copied of Pixel Data, and is less than CUT_BYTES, so that
# a value to be cut is never complete when it is looked at.
PIECE: Final = 16 << 10
MAX_SEQUENCE: Final = 8 << 10  # bytes of a sequence that is among the values
_FAR: Final = 1 << 62  # beyond any data set
_TOP, _ITEM, _SEQUENCE, _FRAGMENTS = range(4)
_FIRST_PIXEL_TAG: Final = min(PIXEL_TAGS)


class Walker:
    """Takes a data set piece by piece."""

    def __init__(self, coding: Coding, wanted: frozenset[int]) -> None:
        self.kept: Final = bytearray()
        self.index: Final[dict[int, tuple[int, int]]] = {}  # wanted tag -> place and length in kept
        self.cuts: Final[list[Cut]] = []  # the last number is a position in the data set
        self.last = -1  # the last attribute of the data set itself that was passed
        self.pixel_tag = 0  # 0 until Pixel Data was reached
        self.pixel_vr = ""
        self.pixel_at = -1  # place in kept where Pixel Data was
        self.pixel_start = 0  # position of its value in the data set
        self.pixel_length = 0
        self.fragments: Final = bytearray()
        self.encapsulated = False
        self._wanted = wanted
        self._coding = coding
        self._kind = _TOP
        self._end = _FAR  # no byte of the container lies beyond this position in the data set
        self._open = True  # the container has undefined length
        self._stack: list[tuple[int, int, bool, Coding]] = []
        self._pos = 0
        self._shift = 0
        self._need = 8  # bytes of kept before it is worth looking
        self._skip = 0  # bytes to pass over
        self._drop = -1  # from this place to _pos, kept is to be left out
        self._in_pixel = False  # between the fragments of Pixel Data
        self._count = 0
        self._opened = (0, 0, 0)  # wanted sequence that is open: tag, place, cuts before it

    def take(self, data: memoryview) -> None:
        """Take more of the data set.

        Raises:
            UndecodableError: it is not one, or beyond a limit.
        """
        at, size, kept = 0, len(data), self.kept
        while at < size:
            if self._skip and self._pos == len(kept):
                step = min(self._skip, size - at)
                self._skip -= step
                self._shift += step
            else:
                step = min(size - at, max(self._need - len(kept), PIECE))
                kept += data[at : at + step]
                if len(kept) >= self._need or self._skip:
                    self._look()
            at += step

    def end(self) -> None:
        """Say that the data set is complete.

        Raises:
            UndecodableError: it is not.
        """
        self._look()
        if self._pos != len(self.kept) or self._kind != _TOP or self._skip:
            raise UndecodableError("the data set ends in the middle of an element")

    def pass_over(self, length: int) -> None:
        """Do as if ``length`` bytes of a value that is left out had come."""
        step = min(length, self._skip)
        self._skip -= step
        self._shift += step

    def values(self, tags: frozenset[int] | None = None) -> dict[int, bytes]:
        """Return the wanted values that were passed so far, or those of them that are named."""
        index = self.index
        if tags is not None:
            index = {tag: index[tag] for tag in tags & index.keys()}
        with memoryview(self.kept) as kept:
            return {tag: kept[at : at + length].tobytes() for tag, (at, length) in index.items()}

    def _look(self) -> None:
        going = True
        while going:
            if self._skip:
                step = min(self._skip, len(self.kept) - self._pos)
                self._skip -= step
                self._pos += step
                if self._skip:
                    break
            if self._drop >= 0 and not self._in_pixel:
                self._leave_out()
                self._drop = -1
            if self._kind >= _SEQUENCE:
                going = self._item()
            else:
                self._plain()
                going = self._other()
        if self._drop >= 0:
            self._leave_out()
        if self._count > MAX_ELEMENTS:
            raise UndecodableError("the data set has too many elements")
        if len(self.kept) > MAX_HEAD_BYTES + PIECE:
            raise UndecodableError("the data set has too much besides its pixel data")

    def _leave_out(self) -> None:
        gone = self._pos - self._drop
        del self.kept[self._drop : self._pos]
        self._shift += gone
        self._pos = self._drop
        self._need = self._pos + 8

    def _plain(self) -> None:  # noqa: C901 - the hot loop: a call an element would double it
        """Pass complete elements that hold no others; leave all else to ``_other``."""
        kept, pos, count = self.kept, self._pos, 0
        coding, top, last = self._coding, self._kind == _TOP, self.last
        explicit, header, long = coding.explicit, coding.header, coding.long
        limit = min(self._end - self._shift, len(kept))
        form_of, nested, index, wanted = FORMS.get, sequence_tags(), self.index, self._wanted
        while pos + 8 <= limit:
            if explicit:
                group, element, vr, length = header(kept, pos)
                form, at = form_of(vr), pos + 8
                if form == LONG and pos + 12 <= limit:
                    (length,) = long(kept, at)
                    at += 4
                elif form != SHORT:
                    break
                tag = group << 16 | element
            else:
                group, element, length = header(kept, pos)
                tag, at = group << 16 | element, pos + 8
                if tag in nested:
                    break
            after = at + length
            if after > limit:  # not here yet, or of undefined length, or to be cut
                break
            if top:
                if tag <= last or tag >= _FIRST_PIXEL_TAG:
                    break
                last = tag
                if tag in wanted:
                    index[tag] = (at, length)
            elif group == DELIMITERS:
                break
            pos = after
            count += 1
        self._pos, self.last = pos, last
        self._count += count

    def _other(self) -> bool:
        """Pass one element of any kind, or open or close a container; False when bytes lack."""
        coding, pos, size = self._coding, self._pos, len(self.kept)
        stop = self._end - self._shift
        if pos == stop:
            self._close(delimited=False)
            return True
        at = pos + 8
        if at > size:
            return self._wait(at)
        group, element, length = coding.item(self.kept, pos)
        vr, form = b"", 0
        if group == DELIMITERS:
            if element != ITEM_END or self._kind != _ITEM or at > stop:
                raise UndecodableError("an item delimiter is where none may be")
            self._pos = at
            self._close(delimited=True)
            return True
        tag = group << 16 | element
        if coding.explicit:
            *_, vr, length = coding.header(self.kept, pos)
            form = FORMS.get(vr, 0)
            if not form:
                raise UndecodableError("an element has no valid value representation")
            if form != SHORT:
                if at + 4 > size:
                    return self._wait(at + 4)
                (length,) = coding.long(self.kept, at)
                at += 4
        elif tag in sequence_tags():
            form = SEQUENCE_FORM
        return self._element(tag, vr, form, at, length)

    def _element(self, tag: int, vr: bytes, form: int, at: int, length: int) -> bool:
        top = self._kind == _TOP
        if top and tag <= self.last:
            raise UndecodableError("attributes are out of order or repeated")
        stop = self._end - self._shift
        if at > stop or (length != UNDEFINED and at + length > stop):
            raise UndecodableError("an element is longer than the item that holds it")
        if top and tag in PIXEL_TAGS and not self.pixel_tag:
            self._pixel(tag, vr, at, length)
        elif length == UNDEFINED or form == SEQUENCE_FORM:
            self._sequence(tag, vr, at, length)
            if top and tag in self._wanted and vr in (b"", b"SQ"):
                self._opened = (tag, at, len(self.cuts))
        elif length > CUT_BYTES:
            self._cut(at, length)
        elif at + length > len(self.kept):
            return self._wait(at + length)
        else:
            if top and tag in self._wanted:
                self.index[tag] = (at, length)
            self._pos = at + length
        if top:
            self.last = tag
        self._count += 1
        return True

    def _wait(self, need: int) -> bool:
        self._need = need
        return False

    def _item(self) -> bool:
        """Open an item, pass a fragment or close the container; False when bytes lack."""
        pos, stop = self._pos, self._end - self._shift
        if pos == stop:
            self._close(delimited=False)
            return True
        at = pos + 8
        if at > len(self.kept):
            return self._wait(at)
        group, element, length = self._coding.item(self.kept, pos)
        if group != DELIMITERS or element not in (ITEM, SEQUENCE_END) or at > stop:
            raise UndecodableError("a sequence holds something that is not an item")
        if element == SEQUENCE_END:
            self._pos = at
            self._close(delimited=True)
            return True
        if length != UNDEFINED and at + length > stop:
            raise UndecodableError("an item is longer than the sequence that holds it")
        if self._kind == _SEQUENCE:
            self._pos = at
            self._enter(_ITEM, length, self._coding)
        elif not self._fragment(at, length):
            return False
        self._count += 1
        return True

    def _fragment(self, at: int, length: int) -> bool:
        if length == UNDEFINED:
            raise UndecodableError("a fragment of encapsulated data has no length")
        if self._in_pixel:
            self.fragments.extend(FRAGMENT.pack(at + self._shift, length))
            self._pos, self._skip = at, length
        elif length > CUT_BYTES:
            self._cut(at, length)
        elif at + length > len(self.kept):
            return self._wait(at + length)
        else:
            self._pos = at + length
        return True

    def _sequence(self, tag: int, vr: bytes, at: int, length: int) -> None:
        self._pos = at
        if vr in FRAGMENTED or (tag in PIXEL_TAGS and length == UNDEFINED):
            self._enter(_FRAGMENTS, length, self._coding)
        elif vr in (b"", b"SQ"):
            self._enter(_SEQUENCE, length, self._coding)
        elif vr == b"UN":
            self._enter(_SEQUENCE, length, IMPLICIT)
        else:
            raise UndecodableError("an element of undefined length is no sequence")

    def _pixel(self, tag: int, vr: bytes, at: int, length: int) -> None:
        self.pixel_tag, self.pixel_vr = tag, vr.decode() or "OW"
        self.pixel_at, self.pixel_start = self._pos, at + self._shift
        self._drop = self._pos
        if length == UNDEFINED:
            self._sequence(tag, b"OB", at, length)
            self._in_pixel = self.encapsulated = True
        else:
            self._pos, self._skip, self.pixel_length = at, length, length

    def _cut(self, at: int, length: int) -> None:
        self.cuts.append((at, length, at + self._shift))
        self._pos, self._drop, self._skip = at, at, length

    def _enter(self, kind: int, length: int, coding: Coding) -> None:
        if len(self._stack) >= 2 * MAX_NESTING:
            raise UndecodableError("sequences are nested too deep")
        self._stack.append((self._kind, self._end, self._open, self._coding))
        self._kind, self._coding, self._open = kind, coding, length == UNDEFINED
        if not self._open:
            self._end = self._pos + self._shift + length

    def _close(self, *, delimited: bool) -> None:
        if delimited != self._open:
            raise UndecodableError("a sequence or item ends where it should not")
        if self._in_pixel:
            self.pixel_length = self._pos + self._shift - self.pixel_start
            self._in_pixel = False
        self._kind, self._end, self._open, self._coding = self._stack.pop()
        if self._opened[0] and self._kind == _TOP:
            self._closed(self._pos - 8 * delimited)

    def _closed(self, end: int) -> None:
        """Enter the wanted sequence whose items end at ``end``, unless that is too much to keep."""
        (tag, start, cuts), self._opened = self._opened, (0, 0, 0)
        if cuts == len(self.cuts) and end - start <= MAX_SEQUENCE:
            self.index[tag] = (start, end - start)
