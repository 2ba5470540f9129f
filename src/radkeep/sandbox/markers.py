# SPDX-License-Identifier: Apache-2.0
"""What a compressed frame says of itself before anything is allocated for it.

Invariant: pure and linear in the header's length; a frame that says nothing sensible is damaged.
"""

import struct
from dataclasses import dataclass
from typing import Final

from radkeep.domain.errors import DamagedPixelsError

_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # SOFn, JPEG-LS
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_APP0, _APP14, _SCAN, _END = 0xE0, 0xEE, 0xDA, 0xD9
_RGB: Final = frozenset({b"RGB", b"rgb"})
_COLORS: Final = 3
_PADDING: Final = 64  # bytes at most behind the end, which some writers add


@dataclass(frozen=True, slots=True)
class Told:
    """The frame header of a codestream."""

    rows: int
    columns: int
    samples: int
    precision: int  # bits
    rgb: bool = False  # its components say that they are red, green and blue
    ybr: bool = False  # it is a JFIF file, whose colors are luminance and two differences


def jpeg(data: memoryview) -> Told:
    """Read a JPEG or JPEG-LS codestream (ITU-T T.81 Annex B).

    Raises:
        DamagedPixelsError: it has no frame header.
    """
    at, rgb, ybr = 2, False, False
    if bytes(data[:2]) != b"\xff\xd8":
        raise DamagedPixelsError("no JPEG codestream")
    require_end(data)
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - every marker begins so
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # noqa: PLR2004 - fill bytes
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in _FRAMES and len(body) >= 6:  # noqa: PLR2004
            precision, rows, columns, samples = struct.unpack_from(">BHHB", body)
            if bytes(body[6 : 6 + 3 * _COLORS : 3]) in _RGB and samples == _COLORS:
                rgb, ybr = True, False
            return Told(rows, columns, samples, precision, rgb, ybr and samples == _COLORS)
        if marker in (_SCAN, _END):
            break
        if marker == _APP0 and bytes(body[:4]) == b"JFIF":
            ybr = True
        at += 2 + length
    raise DamagedPixelsError("a JPEG codestream without a frame header")


def require_end(data: memoryview) -> None:
    """Refuse a codestream that was cut off, for decoders make up what is missing.

    Raises:
        DamagedPixelsError: its last bytes hold no end marker (0xFFD9 in all these formats).
    """
    if b"\xff\xd9" not in bytes(data[-_PADDING:]):
        raise DamagedPixelsError("a codestream without an end")


def jpeg2000(data: memoryview) -> Told:
    """Read a JPEG 2000 codestream, bare or in a JP2 file (ISO/IEC 15444-1 Annex A.5.1).

    Raises:
        DamagedPixelsError: it has no image and tile size.
    """
    at = 0
    if bytes(data[:4]) != b"\xff\x4f\xff\x51":
        at = bytes(data[: 1 << 16]).find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 42 > len(data):
        raise DamagedPixelsError("no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    (samples,) = struct.unpack_from(">H", data, at + 40)
    precision = (data[at + 42] & 0x7F) + 1 if at + 42 < len(data) else 0
    return Told(bottom - top, right - left, samples, precision)
