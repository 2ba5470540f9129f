# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from radkeep.dicom.head import PixelLayout
from radkeep.dicom.scanner import Scanner
from radkeep.dicom.words import swapped, turned


@given(st.lists(st.binary(max_size=9)), st.sampled_from([1, 2, 4, 8]))
def test_pieces_do_not_matter(pieces: Sequence[bytes], width: int) -> None:
    assert b"".join(turned(pieces, width)) == swapped(b"".join(pieces), width)


@given(st.binary(max_size=40), st.sampled_from([1, 2, 4, 8]))
def test_twice_is_nothing(raw: bytes, width: int) -> None:
    assert swapped(swapped(raw, width), width) == raw


def _pixel(name: str) -> tuple[PixelLayout, bytes]:
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    scanner = Scanner(None)
    scanner.feed(memoryview(data))
    pixel = scanner.finish().layout.pixel
    assert pixel is not None
    return pixel, data[pixel.offset : pixel.offset + pixel.length]


def test_big_endian_pixels_become_those_of_the_little_endian_file() -> None:
    for big, little in (
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("rtdose_expb_1frame.dcm", "rtdose_1frame.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
    ):
        pixel, value = _pixel(big)
        plain, expected = _pixel(little)
        assert plain.word == 1
        assert b"".join(turned([value], pixel.word)) == expected
