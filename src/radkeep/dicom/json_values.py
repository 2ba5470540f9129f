# SPDX-License-Identifier: Apache-2.0
"""One value as the DICOM JSON model has it (PS3.18 Section F.2).

Invariant: any bytes of any VR give JSON. What is no number where a number should be stays text.
"""

import base64
import math
import struct
from typing import Any, Final

from radkeep.dicom.charsets import DEFAULT, Charset
from radkeep.dicom.words import swapped

Json = dict[str, Any]

UTF_8: Final[Json] = {"vr": "CS", "Value": ["ISO_IR 192"]}  # what our JSON is encoded in

NUMBERS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
}
BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
CODED: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # in the data set's charset
ONE_VALUE: Final = frozenset({"LT", "ST", "UR", "UT"})  # a backslash is a character
_MAX_DIGITS: Final = 64  # of one IS or DS; the standard allows 12 and 16
_WIDTHS: Final = {"AT": 2, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}


def texts(vr: str, raw: bytes, charset: Charset = DEFAULT) -> list[str]:
    """Return the values of a character string, decoded, without padding (PS3.5 Section 6.2)."""
    coded = charset if vr in CODED else DEFAULT
    text = coded.decode(raw, name=vr == "PN")
    if vr in ONE_VALUE:
        return [text.rstrip(" \0")]
    if vr in ("LO", "SH", "UC"):
        return [part.rstrip(" \0") for part in text.split("\\")]
    if vr == "PN":
        return [part.strip(" \0").rstrip("=") for part in text.split("\\")]
    return [part.strip(" \0") for part in text.split("\\")]


def numbers(vr: str, raw: bytes, *, big: bool) -> list[int] | list[float]:
    """Return the values of a binary number; bytes that fill no whole number are left out."""
    code = NUMBERS[vr]
    count = len(raw) // struct.calcsize(code)
    return list(struct.unpack_from(f"{'>' if big else '<'}{count}{code}", raw))


def element(vr: str, raw: bytes, charset: Charset, *, big: bool) -> Json:
    """Return the JSON object of one element that is no sequence and no bulk data."""
    if not raw:
        return {"vr": vr}
    if vr in BINARY:
        if big and vr in _WIDTHS:
            raw = swapped(raw, _WIDTHS[vr])
        return {"vr": vr, "InlineBinary": base64.b64encode(raw).decode("ascii")}
    if vr in NUMBERS:
        found: list[Any] = [_finite(number) for number in numbers(vr, raw, big=big)]
    elif vr == "AT":
        halves = struct.unpack_from(f"{'>' if big else '<'}{len(raw) // 4 * 2}H", raw)
        found = [f"{a:04X}{b:04X}" for a, b in zip(halves[::2], halves[1::2], strict=True)]
    else:
        found = [_VALUE.get(vr, _text)(text) for text in texts(vr, raw, charset)]
        if found == [None]:
            return {"vr": vr}
    return {"vr": vr, "Value": found} if found else {"vr": vr}


def _finite(number: float) -> float | str:
    """Return ``number``, or the words of PS3.18 Section F.2.2 for what JSON cannot say."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _text(text: str) -> str | None:
    return text or None


def _name(text: str) -> dict[str, str] | None:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("=", 2), strict=False)
    return {group: value.rstrip(" ") for group, value in groups if value} or None


def _integer(text: str) -> int | str | None:
    try:
        return int(text) if len(text) <= _MAX_DIGITS and "_" not in text else text
    except ValueError:
        return text or None


def _decimal(text: str) -> float | str | None:
    try:
        number = float(text) if len(text) <= _MAX_DIGITS and "_" not in text else math.nan
    except ValueError:
        return text or None
    return number if math.isfinite(number) else text


_VALUE: Final = {"PN": _name, "IS": _integer, "DS": _decimal}


def width_of(vr: str) -> int:
    """Return the bytes of one number in a value of ``vr``, 1 for text and bytes."""
    code = NUMBERS.get(vr)
    return struct.calcsize(code) if code else _WIDTHS.get(vr, 1)
