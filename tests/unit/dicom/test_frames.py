# SPDX-License-Identifier: Apache-2.0
"""Frame ranges in layouts that real files here do not have."""

import struct

import pytest

from radkeep.dicom.encode import Element, encode
from radkeep.dicom.frames import frame_spans
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.scanner import Scanner
from radkeep.domain.errors import NotFoundError

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
UIDS: list[Element] = [
    (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
    (0x00080018, "UI", "1.2.3"),
    (0x0020000D, "UI", "1.2.4"),
    (0x0020000E, "UI", "1.2.5"),
]
UNDEFINED = 0xFFFFFFFF


def _frames(data: bytes, syntax: str, count: int) -> list[bytes]:
    scanner = Scanner(syntax)
    scanner.feed(memoryview(data))
    head = InstanceHead.of(scanner.finish(), digest=b"", received_length=len(data), origin={})
    found = []
    for number in range(1, count + 1):
        spans = frame_spans(head, number, lambda start, stop: data[start:stop])
        found.append(b"".join(data[start:stop] for start, stop in spans))
    for number in (0, -1, count + 1, 1 << 40):
        with pytest.raises(NotFoundError):
            frame_spans(head, number, lambda start, stop: data[start:stop])
    return found


def _native(rows: int, columns: int, bits: int, frames: int, value: bytes) -> bytes:
    return encode(
        [
            *UIDS,
            (0x00280008, "IS", str(frames)),
            (0x00280010, "US", rows),
            (0x00280011, "US", columns),
            (0x00280100, "US", bits),
            (0x7FE00010, "OB", value),
        ]
    )


def _encapsulated(fragments: list[bytes], table: bytes, frames: int, *more: Element) -> bytes:
    items = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in [table, *fragments]
    )
    return (
        encode([*UIDS, (0x00280008, "IS", str(frames)), *more])
        + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, UNDEFINED)
        + items
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )


def test_native_frames_are_found_by_arithmetic() -> None:
    assert _frames(_native(2, 3, 8, 2, b"aaaaaabbbbbb"), EXPLICIT, 2) == [b"aaaaaa", b"bbbbbb"]
    assert _frames(_native(1, 3, 8, 1, b"abc\0"), EXPLICIT, 1) == [b"abc"]


def test_single_bit_frames_come_with_the_bytes_they_touch() -> None:
    assert _frames(_native(4, 4, 1, 2, b"abcd"), EXPLICIT, 2) == [b"ab", b"cd"]
    assert _frames(_native(3, 4, 1, 2, b"abc\0"), EXPLICIT, 2) == [b"ab", b"bc"]


def test_pixel_data_that_is_too_short_has_no_such_frame() -> None:
    data = _native(2, 3, 8, 3, b"aaaaaabbbbbb")
    with pytest.raises(NotFoundError):
        _frames(data, EXPLICIT, 3)


def test_one_fragment_a_frame_without_a_table() -> None:
    assert _frames(_encapsulated([b"aa", b"bbbb"], b"", 2), JPEG, 2) == [b"aa", b"bbbb"]


def test_one_frame_in_many_fragments() -> None:
    assert _frames(_encapsulated([b"aa", b"bb", b"cc"], b"", 1), JPEG, 1) == [b"aabbcc"]


def test_frames_by_the_basic_offset_table() -> None:
    data = _encapsulated([b"aa", b"bb", b"cccc"], struct.pack("<II", 0, 20), 2)
    assert _frames(data, JPEG, 2) == [b"aabb", b"cccc"]


def test_frames_by_the_end_of_image() -> None:
    fragments = [b"aa", b"b\xff\xd9\0", b"cc", b"dd", b"\xff\xd9"]
    assert _frames(_encapsulated(fragments, b"", 2), JPEG, 2) == [b"aab\xff\xd9\0", b"ccdd\xff\xd9"]


def test_frames_by_the_extended_offset_table() -> None:
    offsets: Element = (0x7FE00001, "OV", struct.pack("<QQ", 0, 10))
    lengths: Element = (0x7FE00002, "OV", struct.pack("<QQ", 1, 4))
    data = _encapsulated([b"a\0", b"bbbb"], b"", 2, offsets, lengths)
    assert _frames(data, JPEG, 2) == [b"a", b"bbbb"]


def test_tables_that_lie_are_not_believed() -> None:
    offsets: Element = (0x7FE00001, "OV", struct.pack("<QQ", 1 << 40, 7))
    lengths: Element = (0x7FE00002, "OV", struct.pack("<QQ", 1 << 40, 1 << 40))
    data = _encapsulated([b"aa", b"bb"], struct.pack("<II", 999, 3), 2, offsets, lengths)
    assert _frames(data, JPEG, 2) == [b"aa", b"bb"]


def test_video_has_no_frame_ranges() -> None:
    with pytest.raises(NotFoundError):
        _frames(_encapsulated([b"video!"], b"", 100), JPEG, 1)


def test_no_pixel_data_no_frame() -> None:
    with pytest.raises(NotFoundError):
        _frames(encode(UIDS), EXPLICIT, 1)
