# SPDX-License-Identifier: Apache-2.0
"""Writes data sets in little endian, explicit or implicit VR (PS3.5 Sections 7.1.2 and 7.1.3).

Invariant: elements come out in ascending order, every value of even length, every sequence and
item with its length.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from radkeep.dicom.headers import DELIMITERS, FORMS, ITEM, SHORT
from radkeep.dicom.json_values import CODED, NUMBERS

Value = bytes | str | int | float | Sequence["str | int | float"]
Element = tuple[int, str, "Value | Sequence[Sequence[Element]]"]  # tag, VR, value; SQ: the items

_MAX_SHORT: Final = 0xFFFF
_ITEM: Final = struct.Struct("<HHI")


def encode(elements: Iterable[Element], *, explicit: bool = True, codec: str = "utf-8") -> bytes:
    """Return the data set of ``elements``.

    Text is in ``codec``: name its character set in (0008,0005) when it is not ASCII.

    Raises:
        UnicodeEncodeError: ``codec`` cannot say it.
        ValueError: a value does not fit its VR; that is a mistake of the caller.
    """
    out = bytearray()
    for tag, vr, value in sorted(elements, key=lambda element: element[0]):
        raw = (
            _sequence(value, explicit, codec) if vr == "SQ" else _padded(vr, _raw(vr, value, codec))
        )
        if not explicit:
            out += _ITEM.pack(tag >> 16, tag & 0xFFFF, len(raw)) + raw
            continue
        short = FORMS[vr.encode()] == SHORT
        if short and len(raw) > _MAX_SHORT:
            raise ValueError("a value is too long for its VR")
        form = "<HH2sH" if short else "<HH2sxxI"
        out += struct.pack(form, tag >> 16, tag & 0xFFFF, vr.encode(), len(raw))
        out += raw
    return bytes(out)


def _sequence(items: object, explicit: bool, codec: str) -> bytes:  # noqa: FBT001 - passed on
    out = bytearray()
    if not isinstance(items, Sequence):
        raise ValueError("a sequence needs items")  # noqa: TRY004 - as every other misfit
    for item in items:
        raw = encode(item, explicit=explicit, codec=codec)
        out += _ITEM.pack(DELIMITERS, ITEM, len(raw)) + raw
    return bytes(out)


def _raw(vr: str, value: object, codec: str) -> bytes:
    if isinstance(value, bytes):
        return value
    several: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    if vr in NUMBERS:
        return struct.pack(f"<{len(several)}{NUMBERS[vr]}", *several)
    if vr == "AT":
        halves = [half for tag in several for half in (tag >> 16, tag & 0xFFFF)]
        return struct.pack(f"<{len(halves)}H", *halves)
    text = "\\".join(str(part) for part in several)
    return text.encode(codec if vr in CODED else "ascii")


def _padded(vr: str, raw: bytes) -> bytes:
    if len(raw) % 2 == 0:
        return raw
    return raw + (b"\0" if vr in ("UI", "OB", "UN") else b" ")
