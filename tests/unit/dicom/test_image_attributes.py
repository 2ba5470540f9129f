# SPDX-License-Identifier: Apache-2.0
"""What the pixels are and how they are meant to be seen, read from heads; and native heads."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dicom.encode import encode
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.image import Presentation, image_of, presentation
from radkeep.dicom.native import native_head
from radkeep.dicom.recode import length_of, recoded
from radkeep.dicom.scanner import Scanner
from radkeep.domain.errors import DamagedPixelsError, NotDecodableError, RadkeepError, TooLargeError

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"
Element = tuple[int, str, Any]
IMAGE: Sequence[Element] = (
    (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
    (0x00080018, "UI", "1.2.3.4"),
    (0x0020000D, "UI", "1.2.3"),
    (0x0020000E, "UI", "1.2.3.1"),
    (0x00280002, "US", 1),
    (0x00280004, "CS", "MONOCHROME2"),
    (0x00280010, "US", 2),
    (0x00280011, "US", 3),
    (0x00280100, "US", 16),
    (0x00280101, "US", 12),
    (0x00280103, "US", 1),
)
FRAME = bytes(range(12))
# An empty offset table, one fragment of four bytes, the end.
FRAGMENTS = bytes.fromhex("e07f1000 4f420000 ffffffff feff00e0 00000000 feff00e0 04000000")
COMPRESSED = FRAGMENTS + b"abcd" + bytes.fromhex("feffdde0 00000000")


class Read:
    """A scanned instance."""

    def __init__(self, data: bytes, syntax: str = EXPLICIT) -> None:
        scanner = Scanner(syntax)
        scanner.feed(memoryview(data))
        self.data = data
        self.head = InstanceHead.of(
            scanner.finish(), digest=bytes(32), received_length=len(data), origin={}
        )

    def peek(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]

    def shown(self, number: int = 1) -> Presentation:
        image, found = image_of(self.head, self.peek)
        return presentation(image, found, number)


def read(*more: Element, pixels: bytes = FRAME) -> Read:
    elements = {tag: (tag, vr, value) for tag, vr, value in (*IMAGE, *more)}
    elements[0x7FE00010] = (0x7FE00010, "OW", pixels)
    return Read(encode(elements.values()))


def compressed(*more: Element) -> Read:
    elements = {tag: (tag, vr, value) for tag, vr, value in (*IMAGE, *more)}
    return Read(encode(elements.values()) + COMPRESSED, JPEG)


def test_an_image() -> None:
    image, _ = image_of(read().head, read().peek)
    assert (image.rows, image.columns, image.samples) == (2, 3, 1)
    assert (image.allocated, image.stored, image.signed) == (16, 12, True)
    assert image.frame_bytes == 12


@pytest.mark.parametrize(
    ("element", "error"),
    [
        ((0x00280010, "US", 0), DamagedPixelsError),
        ((0x00280002, "US", 2), DamagedPixelsError),
        ((0x00280100, "US", 12), DamagedPixelsError),
        ((0x00280101, "US", 0), DamagedPixelsError),
        ((0x00280010, "US", [65535, 1]), None),
    ],
)
def test_attributes_that_make_no_sense(element: Element, error: type[RadkeepError] | None) -> None:
    found = read(element)
    if error is None:
        assert image_of(found.head, found.peek)[0].rows == 65535
        return
    with pytest.raises(error):
        image_of(found.head, found.peek)


def test_what_is_too_large_and_what_is_no_image() -> None:
    huge = read((0x00280010, "US", 65535), (0x00280011, "US", 65535))
    with pytest.raises(TooLargeError):
        image_of(huge.head, huge.peek)
    none = Read(encode(IMAGE))
    with pytest.raises(NotDecodableError):
        image_of(none.head, none.peek)


def test_windows_and_rescaling_at_the_top() -> None:
    shown = read(
        (0x00281050, "DS", ["40", "600"]),
        (0x00281051, "DS", ["400", "0"]),
        (0x00281052, "DS", "-1024"),
        (0x00281053, "DS", "2"),
        (0x00281056, "CS", "SIGMOID"),
        (0x20500020, "CS", "INVERSE"),
    ).shown()
    assert shown.windows == ((40.0, 400.0),)  # one of width 0 shows nothing
    assert (shown.slope, shown.intercept, shown.function) == (2.0, -1024.0, "SIGMOID")
    assert shown.inverse


def test_each_frame_has_its_own_or_the_shared() -> None:
    def group(macro: int, *inner: Element) -> Element:
        return macro, "SQ", [list(inner)]

    shared = [group(0x00289145, (0x00281052, "DS", "5"), (0x00281053, "DS", "3"))]
    each = [
        [group(0x00289132, (0x00281050, "DS", str(n)), (0x00281051, "DS", "10"))] for n in (1, 2)
    ]
    found = read(
        (0x00280008, "IS", "2"),
        (0x52009229, "SQ", [shared]),
        (0x52009230, "SQ", each),
        pixels=FRAME * 2,
    )
    for number in (1, 2):
        shown = found.shown(number)
        assert shown.windows == ((float(number), 10.0),)
        assert (shown.slope, shown.intercept) == (3.0, 5.0)


def test_tables() -> None:
    table = [(0x00283002, "SS", [2, -1, 8]), (0x00283006, "OW", b"\x00\x00\xff\x00")]
    shown = read((0x00283000, "SQ", [table]), (0x00283010, "SQ", [table])).shown()
    assert shown.modality is not None
    assert (shown.modality.entries, shown.modality.first, shown.modality.bits) == (2, -1, 8)
    assert shown.voi == shown.modality
    short = [(0x00283002, "SS", [9, 0, 8]), (0x00283006, "OW", b"\x00\x00")]
    assert read((0x00283010, "SQ", [short])).shown().voi is None


def test_a_palette_needs_three_tables() -> None:
    red, green, blue = (
        [(0x00281101 + n, "US", [4, 0, 8]), (0x00281201 + n, "OW", b"abcd")] for n in range(3)
    )
    assert read(*red, *green).shown().palette is None
    whole = read(*red, *green, *blue).shown().palette
    assert whole is not None
    assert {table.data for table in whole} == {b"abcd"}


def test_overlays_of_the_frame() -> None:
    plane = (
        (0x60000010, "US", 2),
        (0x60000011, "US", 3),
        (0x60000015, "IS", "2"),
        (0x60000050, "SS", [0, 2]),
        (0x60003000, "OW", b"\xff\x0f"),
    )
    found = read(*plane, (0x00280008, "IS", "3"), pixels=FRAME * 3)
    (first,) = found.shown(1).overlays
    (second,) = found.shown(2).overlays
    assert (first.skip, first.data, first.top, first.left) == (0, b"\xff", 0, 2)
    assert (second.skip, second.data) == (6, b"\xff\x0f")
    assert found.shown(3).overlays == ()


def test_a_native_head_keeps_all_but_the_form_of_the_pixels() -> None:
    icon = [(0x00280010, "US", 1), (0x7FE00010, "OB", b"ab")]
    found = compressed(
        (0x00091001, "UN", b"x" * 70_000),  # is not in the head
        (0x00280000, "UL", 100),
        (0x00880200, "SQ", [icon]),
        (0x7FE00001, "OV", bytes(8)),
        (0x7FE00002, "OV", bytes(8)),
    )
    image, _ = image_of(found.head, found.peek)
    head, pixel = native_head(found.head, image, "MONOCHROME1")
    assert (pixel.vr, pixel.length, pixel.offset) == ("OW", 12, len(found.data))
    pieces = recoded(head, EXPLICIT)
    made = b"".join(
        each if isinstance(each, bytes) else (found.data + FRAME)[each.start : each.stop]
        for each in pieces
    )
    assert length_of(pieces) == len(made)
    again = Read(made)
    kept = b"x" * 70_000
    assert kept in made
    assert again.head.pixel is not None
    assert again.peek(again.head.pixel.offset, again.head.pixel.offset + 12) == FRAME
    assert image_of(again.head, again.peek)[0].photometric == "MONOCHROME1"
    assert b"ab" in made  # the icon was native
    for gone in (b"\x28\x00\x00\x00UL", b"\xe0\x7f\x01\x00", b"\xe0\x7f\x02\x00"):
        assert gone not in made


def test_compressed_icons_are_left_out_and_other_compressed_data_refused() -> None:
    fragments = COMPRESSED
    item = bytes.fromhex("feff00e0 ffffffff") + fragments + bytes.fromhex("feff0de0 00000000")
    end = bytes.fromhex("feffdde0 00000000")

    def with_sequence(group: int, element: int) -> Read:
        tag = group.to_bytes(2, "little") + element.to_bytes(2, "little")
        sequence = tag + b"SQ\x00\x00\xff\xff\xff\xff" + item + end
        return Read(encode(IMAGE) + sequence + COMPRESSED, JPEG)

    icon = with_sequence(0x0088, 0x0200)
    image, _ = image_of(icon.head, icon.peek)
    head, _ = native_head(icon.head, image, "MONOCHROME2")
    assert head.layout.elements == encode(IMAGE)
    other = with_sequence(0x0089, 0x1000)
    with pytest.raises(NotDecodableError):
        native_head(other.head, image, "MONOCHROME2")


@given(
    st.dictionaries(
        st.sampled_from([0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00280034, 0x60000050]),
        st.binary(max_size=16).map(lambda raw: raw + b"\0" * (len(raw) % 2)),
    )
)
def test_any_values_give_a_presentation(values: dict[int, bytes]) -> None:
    kinds = {0x60000050: "SS", 0x00280034: "IS"}
    elements = [(tag, kinds.get(tag, "DS"), value) for tag, value in values.items()]
    shown = read(*elements).shown()
    assert all(width >= 1 for _, width in shown.windows)
    assert min(shown.aspect) >= 1
