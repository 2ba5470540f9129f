# SPDX-License-Identifier: Apache-2.0
"""Turns big endian words into little endian ones, which DICOMweb gives out (PS3.18 Section 8.7.3).

Invariant: length is kept; a last word that is not whole stays as it is.
"""

from collections.abc import Iterable, Iterator


def swapped(raw: bytes, width: int) -> bytes:
    """Return ``raw`` with the bytes of each word of ``width`` bytes in opposite order."""
    whole = len(raw) // width * width
    out = bytearray(raw)
    for at in range(width):
        out[at:whole:width] = raw[width - 1 - at : whole : width]
    return bytes(out)


def turned(pieces: Iterable[bytes], width: int) -> Iterator[bytes]:
    """Yield ``pieces``, which together hold words of ``width`` bytes, in the other byte order."""
    rest = b""
    for piece in pieces:
        joined = rest + piece if rest else piece
        whole = len(joined) // width * width
        rest = joined[whole:]
        if whole:
            yield swapped(joined[:whole], width)
    if rest:
        yield rest
