# SPDX-License-Identifier: Apache-2.0
"""How element headers look in the encodings (PS3.5 Section 7.1).

Invariant: the tables here are the only place that knows VR codes as bytes.
"""

import struct
from typing import Any, Final, NamedTuple, Protocol

SHORT: Final = 1  # 16-bit length
LONG: Final = 2  # two reserved bytes, 32-bit length
SEQUENCE_FORM: Final = 3  # as LONG, holds items

_SHORT_VRS: Final = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_VRS: Final = "OB OD OF OL OV OW SV UC UN UR UT UV"

FORMS: Final[dict[bytes, int]] = {
    **{vr.encode(): SHORT for vr in _SHORT_VRS.split()},
    **{vr.encode(): LONG for vr in _LONG_VRS.split()},
    b"SQ": SEQUENCE_FORM,
}
FRAGMENTED: Final = frozenset({b"OB", b"OW"})  # may have undefined length (PS3.5 Annex A.4)
UNDEFINED: Final = 0xFFFFFFFF
DELIMITERS: Final = 0xFFFE  # group of items and delimiters
ITEM: Final = 0xE000
ITEM_END: Final = 0xE00D
SEQUENCE_END: Final = 0xE0DD
TRAILING_PADDING: Final = 0xFFFCFFFC  # a tag without meaning (PS3.10 Section 7.2)
FRAGMENT: Final = struct.Struct("<QI")  # position and length, as heads keep a fragment
CUT_BYTES: Final = 64 << 10  # a longer value is left out of the head

Cut = tuple[int, int, int]  # place in elements + tail, length of the value, body position or -1


class _Unpack(Protocol):
    def __call__(
        self, buffer: bytes | bytearray | memoryview, offset: int = 0, /
    ) -> tuple[Any, ...]: ...


class Coding(NamedTuple):
    """One encoding of elements."""

    explicit: bool
    big: bool
    header: _Unpack  # group, element, VR, 16-bit length; or group, element, 32-bit length
    long: _Unpack  # the 32-bit length of explicit VR
    item: _Unpack  # group, element, 32-bit length of items and delimiters


def _coding(*, explicit: bool, big: bool) -> Coding:
    order = ">" if big else "<"
    header = struct.Struct(order + ("HH2sH" if explicit else "HHI")).unpack_from
    long, item = struct.Struct(order + "I").unpack_from, struct.Struct(order + "HHI").unpack_from
    return Coding(explicit, big, header, long, item)


EXPLICIT_LITTLE: Final = _coding(explicit=True, big=False)
EXPLICIT_BIG: Final = _coding(explicit=True, big=True)
IMPLICIT: Final = _coding(explicit=False, big=False)  # also inside UN (PS3.5 Section 6.2.2)


def coding(*, explicit: bool, big: bool) -> Coding:
    """Return the encoding of a transfer syntax."""
    if not explicit:
        return IMPLICIT
    return EXPLICIT_BIG if big else EXPLICIT_LITTLE
