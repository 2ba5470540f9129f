# SPDX-License-Identifier: Apache-2.0
"""Chosen attributes of an instance, from the top and from within sequences, as values.

Invariant: bytes come out in little endian, whatever the data set's order; a value that is not what
its VR says is as good as absent.
"""

import struct
from collections.abc import Callable, Collection
from typing import Final

from radkeep.dicom.head import InstanceHead
from radkeep.dicom.headers import coding
from radkeep.dicom.json_values import NUMBERS, width_of
from radkeep.dicom.reader import Event, What, read
from radkeep.dicom.syntaxes import syntax
from radkeep.dicom.words import swapped

Path = tuple[int, ...]  # tag, or tag, item counted from 0, tag and so on
Peek = Callable[[int, int], bytes]
MAX_VALUE: Final = 64 << 20  # bytes; a longer value is left out


class Attributes:
    """Values by path."""

    def __init__(self, found: dict[Path, tuple[str, bytes]]) -> None:
        self._found = found

    def __contains__(self, path: Path) -> bool:
        return path in self._found

    def raw(self, *path: int) -> bytes:
        """Return the bytes of a value, or none."""
        return self._found.get(path, ("", b""))[1]

    def text(self, *path: int) -> str:
        """Return the first of the values that a string of the basic repertoire holds."""
        return self._words(path)[0]

    def integers(self, *path: int, signed: bool = False) -> tuple[int, ...]:
        """Return whole numbers: of text, or of binary with ``signed`` where the VR leaves it open.

        A VR that is no number is read as 16-bit numbers, as tables of unknown VR are.
        """
        vr, raw = self._found.get(path, ("", b""))
        if vr in ("IS", "DS"):
            return tuple(int(number) for number in self.decimals(*path))
        code = NUMBERS.get(vr, "H")
        if code in "fd":
            return ()
        if signed and code == "H":
            code = "h"
        return struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", _whole(raw, code))

    def integer(self, *path: int, default: int = 0) -> int:
        """Return the first whole number."""
        return next(iter(self.integers(*path)), default)

    def decimals(self, *path: int) -> tuple[float, ...]:
        """Return numbers of any kind; text that is none is left out, and so is what is infinite."""
        vr, raw = self._found.get(path, ("", b""))
        code = NUMBERS.get(vr)
        if code is not None:
            found = struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", _whole(raw, code))
        else:
            found = tuple(number for word in self._words(path) for number in _number(word))
        return tuple(float(number) for number in found if abs(number) < 1e300)  # noqa: PLR2004

    def decimal(self, *path: int) -> float | None:
        """Return the first number."""
        return next(iter(self.decimals(*path)), None)

    def _words(self, path: Path) -> list[str]:
        return self._found.get(path, ("", b""))[1].decode("latin-1").strip(" \0").split("\\")


def attributes(head: InstanceHead, tags: Collection[int], peek: Peek) -> Attributes:
    """Return the values of ``tags``, at the top and in any sequence, before Pixel Data.

    Args:
        head: the head of the record.
        tags: of the elements that are wanted; sequences are entered whatever their tag.
        peek: reads a range of the body, or of the inflated data set, for values that were cut.

    Raises:
        UndecodableError: the head holds no data set.
    """
    encoding, data = syntax(head.transfer_syntax), head.layout.elements
    used = coding(explicit=encoding.explicit, big=encoding.big)
    cuts = {at: length for at, length, _ in head.layout.cuts if at <= len(data)}
    base = 0 if head.deflated else head.data_set_offset
    found: dict[Path, tuple[str, bytes]] = {}
    path: list[int] = []
    for event in read(data, used, cuts):
        match event.what:
            case What.OPEN:
                path += (event.tag, -1)
            case What.CLOSE:
                del path[-2:]
            case What.ITEM:
                path[-1] += 1
            case What.VALUE if event.tag in tags and event.length <= MAX_VALUE:
                raw = _value(event, data, base, peek)
                if encoding.big and event.explicit:
                    raw = swapped(raw, width_of(event.vr))
                found[*path, event.tag] = event.vr, raw
            case _:
                pass
    return Attributes(found)


def _value(event: Event, data: bytes, base: int, peek: Peek) -> bytes:
    if event.cut:
        start = base + event.where
        return peek(start, start + event.length)
    return data[event.start : event.start + event.length]


def _whole(raw: bytes, code: str) -> bytes:
    return raw[: len(raw) // struct.calcsize(code) * struct.calcsize(code)]


def _number(word: str) -> tuple[float, ...]:
    try:
        number = float(word)
    except ValueError:
        return ()
    return (number,) if number == number else ()  # noqa: PLR0124 - NaN differs from itself
