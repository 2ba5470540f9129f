# SPDX-License-Identifier: Apache-2.0
"""Reads a data set that is in memory, element by element (PS3.5 Sections 7.1 to 7.5, A.4).

Invariant: never recursion; every position is checked against its container before it is used.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from radkeep.dicom.dictionary import PIXEL_TAGS, vr_of
from radkeep.dicom.headers import (
    DELIMITERS,
    FORMS,
    FRAGMENTED,
    IMPLICIT,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    SHORT,
    UNDEFINED,
    Coding,
)
from radkeep.domain.errors import UndecodableError
from radkeep.domain.limits import MAX_NESTING


class What(Enum):
    """The kinds of events."""

    VALUE = auto()  # an element with a value, which is in memory unless ``cut``
    FRAGMENTS = auto()  # encapsulated data: item headers, fragments and delimiter as they lie
    OPEN = auto()  # a sequence begins
    CLOSE = auto()
    ITEM = auto()  # an item begins
    END = auto()


class Event(NamedTuple):
    """One step through a data set."""

    what: What
    tag: int = 0
    vr: str = ""
    start: int = 0  # of the value in memory
    length: int = 0  # of the value; what is cut counts though it is not in memory
    where: int = 0  # position of the value in the data set
    cut: bool = False
    explicit: bool = True  # false also inside a sequence in UN, where numbers are little endian


class _Box(NamedTuple):
    """A container: the data set, a sequence or an item."""

    item: bool
    end: int  # position in the data set beyond which nothing of it lies
    open: bool  # undefined length
    coding: Coding


_BROKEN: Final = "the data set is broken"
_FAR: Final = 1 << 62
_FRAGMENTED: Final = frozenset(vr.decode() for vr in FRAGMENTED)


def read(
    data: bytes | memoryview, coding: Coding, cuts: Mapping[int, int] | None = None
) -> Iterator[Event]:
    """Yield the events of the data set ``data``.

    Args:
        data: the data set; without the values in ``cuts``.
        coding: how it is encoded.
        cuts: place in ``data`` to length, for each value that was left out.

    Raises:
        UndecodableError: ``data`` is no data set.
    """
    return _Reader(data, coding, cuts or {}).events()


class _Reader:
    def __init__(self, data: bytes | memoryview, coding: Coding, cuts: Mapping[int, int]) -> None:
        self._data = data
        self._cuts = cuts
        self._pos = 0
        self._shift = 0  # bytes left out so far
        self._box = _Box(item=True, end=_FAR, open=True, coding=coding)
        self._stack: list[_Box] = []

    def events(self) -> Iterator[Event]:
        size, read_item = len(self._data), self._box.coding.item
        while self._pos < size or self._stack:
            box, pos = self._box, self._pos
            if not box.open and pos + self._shift == box.end:
                yield self._close()
                continue
            at = pos + 8
            if at > size or at + self._shift > box.end:
                raise UndecodableError(_BROKEN)
            group, element, length = read_item(self._data, pos)
            if group == DELIMITERS and element in (ITEM_END, SEQUENCE_END):
                if not box.open or not self._stack or box.item != (element == ITEM_END):
                    raise UndecodableError(_BROKEN)
                self._pos = at
                yield self._close()
            elif box.item:
                yield self._element(group << 16 | element, length)
            elif group == DELIMITERS and element == ITEM:
                self._pos = at
                self._enter(box.coding, length, item=True)
                yield Event(What.ITEM)
            else:
                raise UndecodableError(_BROKEN)
            read_item = self._box.coding.item

    def _element(self, tag: int, length: int) -> Event:
        coding = self._box.coding
        vr, at, length = _header(self._data, self._pos, tag, coding, length)
        where = at + self._shift
        if length == UNDEFINED and (vr in _FRAGMENTED or tag in PIXEL_TAGS):
            return self._fragments(tag, vr, at)
        if length == UNDEFINED or vr == "SQ":
            if len(self._stack) >= 2 * MAX_NESTING:
                raise UndecodableError(_BROKEN)
            self._pos = at
            self._enter(IMPLICIT if vr == "UN" else coding, length, item=False)
            return Event(What.OPEN, tag, "SQ", at, 0, where)
        if self._cuts.get(at) == length:
            self._pos = at
            self._shift += length
            return Event(What.VALUE, tag, vr, at, length, where, cut=True)
        if at + length > len(self._data) or where + length > self._box.end:
            raise UndecodableError(_BROKEN)
        self._pos = at + length
        return Event(What.VALUE, tag, vr, at, length, where, explicit=coding.explicit)

    def _fragments(self, tag: int, vr: str, at: int) -> Event:
        where = at + self._shift
        *_, (total, sign) = [(0, 0), *fragments(self._data, self._box.coding, at, self._cuts)]
        if sign >= 0 or where + total > self._box.end:
            raise UndecodableError(_BROKEN)
        left_out = sum(self._cuts[place] for place in self._cuts if at < place <= at + total)
        self._pos = at + total - left_out
        self._shift += left_out
        return Event(What.FRAGMENTS, tag, vr, at, total, where, cut=left_out > 0)

    def _enter(self, coding: Coding, length: int, *, item: bool) -> None:
        self._stack.append(self._box)
        end, where = self._box.end, self._pos + self._shift
        if length != UNDEFINED:
            if where + length > end:
                raise UndecodableError(_BROKEN)
            end = where + length
        self._box = _Box(item, end, open=length == UNDEFINED, coding=coding)

    def _close(self) -> Event:
        event = Event(What.END if self._box.item else What.CLOSE)
        self._box = self._stack.pop()
        return event


def _header(
    data: bytes | memoryview, pos: int, tag: int, coding: Coding, length: int
) -> tuple[str, int, int]:
    """Return VR, place of the value and its length."""
    at = pos + 8
    if not coding.explicit:
        return vr_of(tag), at, length
    *_, code, length = coding.header(data, pos)
    form = FORMS.get(code)
    if form is None or (form != SHORT and at + 4 > len(data)):
        raise UndecodableError(_BROKEN)
    if form != SHORT:
        (length,) = coding.long(data, at)
        at += 4
    return code.decode("ascii"), at, length


def fragments(
    data: bytes | memoryview, coding: Coding, start: int, cuts: Mapping[int, int]
) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each fragment of the encapsulated data at ``start``.

    The offsets count from ``start`` in the whole data set. The last pair is the delimiter: its
    end and -1; it is left out when ``data`` ends before.
    """
    pos, shift = start, -start
    while pos + 8 <= len(data):
        group, element, length = coding.item(data, pos)
        pos += 8
        if group != DELIMITERS or element not in (ITEM, SEQUENCE_END):
            return
        if element == SEQUENCE_END:
            yield pos + shift, -1
            return
        yield pos + shift, length
        if cuts.get(pos) == length:
            shift += length
        else:
            pos += length
