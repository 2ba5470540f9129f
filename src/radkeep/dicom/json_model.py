# SPDX-License-Identifier: Apache-2.0
"""Data sets as DICOM JSON (PS3.18 Annex F).

Invariant: the JSON holds every element of the instance, in its own words or by the address of its
bytes (``bulkdata/`` and the path that ``dicom.bulk`` understands); it is always UTF-8.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from radkeep.dicom.charsets import DEFAULT, Charset, charset
from radkeep.dicom.dictionary import printed_vr, vr_of
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.headers import IMPLICIT, TRAILING_PADDING, Coding, coding
from radkeep.dicom.json_values import BINARY, UTF_8, Json, element
from radkeep.dicom.levels import SPECIFIC_CHARACTER_SET
from radkeep.dicom.reader import Event, What, read
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.errors import UndecodableError
from radkeep.domain.limits import LARGE_VALUE_BYTES

_ENCODE: Final = msgspec.json.Encoder().encode
_PIXEL_REPRESENTATION: Final = 0x00280103
_MAX_KNOWN_UN: Final = 0xFFFF  # a UN value up to here may have had a short VR (PS3.5 6.2.2)


def metadata(head: InstanceHead, base_url: str) -> bytes:
    """Return the instance as one JSON object.

    Args:
        head: the head of its record.
        base_url: the address of the instance, without a slash at the end.

    Raises:
        UndecodableError: the head holds no data set.
    """
    return _ENCODE(model(head, f"{base_url}/bulkdata/"))


def model(head: InstanceHead, bulk: str) -> Json:
    """Return the instance as a JSON object; ``bulk`` precedes the path of each bulk value."""
    encoding = syntax(head.transfer_syntax)
    used = coding(explicit=encoding.explicit, big=encoding.big)
    border = len(head.layout.elements)
    before = {place: length for place, length, _ in head.layout.cuts if place <= border}
    after = {place - border: length for place, length, _ in head.layout.cuts if place > border}
    builder = _Builder(bulk)
    builder.add(head.layout.elements, used, before)
    pixel = head.pixel
    if pixel is not None:
        tag = f"{pixel.tag:08X}"
        address = {"BulkDataURI": bulk + tag} if pixel.length else {}
        builder.root[tag] = {"vr": pixel.vr, **address}
    builder.add(head.layout.tail, used, after)
    return builder.root


def sequence(tag: int, items: bytes, used: Coding, charset: Charset) -> Json:
    """Return the sequence ``tag`` of a data set in ``charset``, whose value is ``items``.

    It is empty if ``items`` are no items.
    """
    builder = _Builder(None, _Level("", charset, signed=False))
    order: Literal["little", "big"] = "big" if used.big else "little"
    header = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    header += b"SQ\0\0" if used.explicit else b""
    try:
        builder.add(header + len(items).to_bytes(4, order) + items, used, {})
    except UndecodableError:
        return {"vr": "SQ"}
    found: Json = builder.root[f"{tag:08X}"]
    return found


class _Level:
    """The data set or one item while it is being filled."""

    __slots__ = ("charset", "items", "json", "path", "sequence", "signed")

    def __init__(self, path: str, charset: Charset, *, signed: bool) -> None:
        self.json: Final[Json] = {}
        self.path: Final = path  # "" or "TAG/1/"
        self.charset = charset
        self.signed = signed  # Pixel Representation, which decides between US and SS
        self.sequence = 0  # the tag of the sequence that is open in it
        self.items: list[Json] = []  # of that sequence


class _Builder:
    """Turns events into JSON without recursion."""

    def __init__(self, bulk: str | None, level: _Level | None = None) -> None:
        self._bulk = bulk  # None: every value is inline
        self._levels = [level or _Level("", DEFAULT, signed=False)]
        self.root: Final = self._levels[0].json

    def add(self, data: bytes, used: Coding, cuts: Mapping[int, int]) -> None:
        """Add the elements of ``data``, without the values in ``cuts``."""
        levels = self._levels
        for event in read(data, used, cuts):
            level, what = levels[-1], event.what
            if what is What.VALUE or what is What.FRAGMENTS:
                if event.tag & 0xFFFF and event.tag != TRAILING_PADDING:  # no group lengths in JSON
                    key = f"{event.tag:08X}"
                    level.json[key] = self._element(level, key, event, data, big=used.big)
            elif what is What.OPEN:
                level.sequence, level.items = event.tag, []
                level.json[f"{event.tag:08X}"] = {"vr": "SQ"}
            elif what is What.ITEM:
                levels.append(_item(level))
            elif what is What.END:
                levels.pop()

    def _element(self, level: _Level, key: str, event: Event, data: bytes, *, big: bool) -> Json:
        vr, length = event.vr, event.length
        if self._bulk is not None and (
            event.cut
            or event.what is What.FRAGMENTS
            or (vr in BINARY and length > LARGE_VALUE_BYTES)
        ):
            return {"vr": vr, "BulkDataURI": self._bulk + level.path + key}
        raw = bytes(data[event.start : event.start + length])
        if event.tag == SPECIFIC_CHARACTER_SET:
            level.charset = charset(raw)
            return UTF_8 if raw.strip(b" \0") else {"vr": "CS"}
        if event.tag == _PIXEL_REPRESENTATION:
            level.signed = any(raw)
        if vr == "UN" and event.explicit and length < _MAX_KNOWN_UN:
            return self._unknown(level, event.tag, raw)
        if not event.explicit:
            vr = _signed(level, event.tag, vr)
        return element(vr, raw, level.charset, big=big and event.explicit)

    def _unknown(self, level: _Level, tag: int, raw: bytes) -> Json:
        """Return a UN value in the VR of the dictionary, if it has that form (PS3.5 6.2.2)."""
        vr = vr_of(tag)
        if vr != "SQ":
            return element(_signed(level, tag, vr), raw, level.charset, big=False)
        header = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        inner = _Builder(None, _Level("", level.charset, signed=level.signed))
        try:
            inner.add(header + len(raw).to_bytes(4, "little") + raw, IMPLICIT, {})
        except UndecodableError:
            return element("UN", raw, level.charset, big=False)
        found: Json = inner.root[f"{tag:08X}"]
        return found


def _signed(level: _Level, tag: int, vr: str) -> str:
    """Return SS for a US of the dictionary that Pixel Representation makes signed."""
    if level.signed and vr == "US" and printed_vr(tag).startswith("US or SS"):
        return "SS"
    return vr


def _item(level: _Level) -> _Level:
    level_items = level.items
    key = f"{level.sequence:08X}"
    item = _Level(f"{level.path}{key}/{len(level_items) + 1}/", level.charset, signed=level.signed)
    level_items.append(item.json)
    level.json[key] = {"vr": "SQ", "Value": level_items}
    return item
