# SPDX-License-Identifier: Apache-2.0
"""Values of DICOM JSON objects (PS3.18 Annex F) as people read them.

Invariant: any JSON object gives text; a value that is missing or odd gives less text, never an
error, for it came from a device long ago.
"""

from datetime import date
from typing import Any, Final

import msgspec

Row = dict[str, Any]

SEXES: Final = {"F": "female", "M": "male", "O": "other"}  # PS3.3 Table C.7-1
_DATE_DIGITS: Final = 8
_HOUR_AND_MINUTE: Final = 4
_ADULT: Final = 3  # years; below it ages are told in months
_MONTHS: Final = 12


def decode(row: bytes) -> Row:
    """Return the object that ``row`` encodes."""
    return msgspec.json.decode(row, type=dict[str, Any])


def values(row: Row, tag: str) -> tuple[str, ...]:
    """Return the values of ``tag`` as text, empty ones left out."""
    element = row.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(found, list):
        return ()
    return tuple(
        str(value) for value in found if isinstance(value, str | int | float) and value != ""
    )


def text(row: Row, tag: str) -> str:
    """Return the values of ``tag`` on one line."""
    return ", ".join(values(row, tag))


def whole(row: Row, tag: str) -> int:
    """Return the first value of ``tag`` as a number, 0 if it has none."""
    found = values(row, tag)
    return int(found[0]) if found and found[0].isdecimal() else 0


def name(row: Row, tag: str) -> str:
    """Return a person's name as ``Family, Given Middle``, with its ideographic form after it."""
    element = row.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, dict):
        return ""
    groups = [first.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic")]
    shown = [_components(group) for group in groups if isinstance(group, str) and group.strip("^ ")]
    if len(shown) > 1:
        return f"{shown[0]} ({'; '.join(shown[1:])})"
    return "".join(shown)


def _components(group: str) -> str:
    # PS3.5 Section 6.2.1.1: family, given, middle, prefix, suffix
    parts = [part.strip() for part in f"{group}^^^^".split("^")]
    family, given, middle, prefix, suffix = parts[:5]
    rest = " ".join(part for part in (prefix, given, middle, suffix) if part)
    return ", ".join(part for part in (family, rest) if part)


def day(row: Row, tag: str) -> str:
    """Return a DA value as YYYY-MM-DD; what is no date is shown as it is."""
    found = text(row, tag)
    digits = found.replace(".", "")
    if len(digits) == _DATE_DIGITS and digits.isdecimal():
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return found


def moment(row: Row, date_tag: str, time_tag: str) -> str:
    """Return a DA and a TM value as YYYY-MM-DD HH:MM, as far as they are there."""
    time = text(row, time_tag)[:6].replace(":", "")
    clock = (
        f"{time[:2]}:{time[2:4]}" if len(time) >= _HOUR_AND_MINUTE and time[:4].isdecimal() else ""
    )
    return f"{day(row, date_tag)} {clock}".strip()


def age(born: str, at: str) -> str:
    """Return the age on day ``at`` (both YYYY-MM-DD) in words, empty if either is no date."""
    try:
        birth, then = date.fromisoformat(born), date.fromisoformat(at)
    except ValueError:
        return ""
    months = (then.year - birth.year) * _MONTHS + then.month - birth.month
    months -= then.day < birth.day
    if months < 0:
        return ""
    years = months // _MONTHS
    count, unit = (years, "year") if years >= _ADULT else (months, "month")
    return f"{count} {unit}{'' if count == 1 else 's'} at the study"
