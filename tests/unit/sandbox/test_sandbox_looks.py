# SPDX-License-Identifier: Apache-2.0
"""From stored values to what is seen: tables, windows, colors, sizes, overlays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dicom.image import Image, Overlay, Presentation, Table
from radkeep.dicom.looks import Viewport
from radkeep.domain.errors import DamagedPixelsError, NotDecodableError
from radkeep.sandbox import markers
from radkeep.sandbox.coloring import looked_up, through_palette, to_rgb
from radkeep.sandbox.gray import to_gray
from radkeep.sandbox.pixels import native, values
from radkeep.sandbox.rendering import _draw
from radkeep.sandbox.resizing import fitted


def image(**more: object) -> Image:
    fields: dict[str, object] = {
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "rows": 1,
        "columns": 5,
        "samples": 1,
        "photometric": "MONOCHROME2",
        "planar": 0,
        "allocated": 16,
        "stored": 16,
        "signed": True,
    }
    return Image(**(fields | more))  # type: ignore[arg-type] - by name


HOUNSFIELD = np.array([[-2000, -160, 40, 240, 3000]], np.int16)


def test_a_window_of_the_standard() -> None:
    """PS3.3 Section C.11.2.1.2.1: below, at and beyond the edges of a linear window."""
    shown = Presentation(windows=((40.0, 400.0),))
    assert to_gray(image(), HOUNSFIELD, shown, None).tolist() == [[0, 0, 128, 255, 255]]
    exact = to_gray(image(), HOUNSFIELD, shown, (40.0, 400.0, "LINEAR_EXACT"))
    assert exact.tolist() == [[0, 0, 128, 255, 255]]
    sigmoid = to_gray(image(), HOUNSFIELD, shown, (40.0, 400.0, "SIGMOID"))
    assert sigmoid.tolist() == [[0, 30, 128, 225, 255]]


def test_monochrome1_and_an_inverse_shape_turn_light_and_dark() -> None:
    shown = Presentation(windows=((40.0, 400.0),))
    dark = to_gray(image(photometric="MONOCHROME1"), HOUNSFIELD, shown, None)
    assert dark.tolist() == [[255, 255, 127, 0, 0]]
    inverse = Presentation(windows=((40.0, 400.0),), inverse=True)
    assert to_gray(image(), HOUNSFIELD, inverse, None).tolist() == dark.tolist()


def test_rescaling_comes_before_the_window() -> None:
    shown = Presentation(slope=2.0, intercept=-1000.0, windows=((0.0, 2000.0),))
    stored = np.array([[0, 500, 1000]], np.int16)
    assert to_gray(image(columns=3), stored, shown, None).tolist() == [[0, 128, 255]]


def test_without_a_window_from_darkest_to_brightest() -> None:
    assert to_gray(image(), HOUNSFIELD, Presentation(), None)[0, 0] == 0
    assert to_gray(image(), HOUNSFIELD, Presentation(), None)[0, -1] == 255
    flat = np.full((2, 2), 7, np.int16)
    assert to_gray(image(), flat, Presentation(), None).tolist() == [[0, 0], [0, 0]]


def test_a_voi_table_counts_more_than_windows_but_less_than_a_wish() -> None:
    table = Table(entries=3, first=10, bits=8, data=bytes([0, 100, 255]))
    shown = Presentation(voi=table, windows=((0.0, 2.0),))
    stored = np.array([[0, 10, 11, 12, 99]], np.int16)
    assert to_gray(image(), stored, shown, None).tolist() == [[0, 0, 100, 255, 255]]
    assert to_gray(image(), stored, shown, (1000.0, 2.0, "LINEAR")).tolist() == [[0] * 5]


def test_wide_and_fractional_values() -> None:
    shown = Presentation(windows=((50.0, 100.0),))
    wide = np.array([[0, 1 << 30]], np.uint32)
    assert to_gray(image(allocated=32, stored=32), wide, shown, None).tolist() == [[0, 255]]
    odd = np.array([[np.nan, np.inf, 1e30]], np.float32)
    gray = to_gray(image(allocated=32, floating=True), odd, Presentation(), None)
    assert gray.tolist() == [[0, 0, 255]]


@given(
    st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=40),
    st.floats(-1e6, 1e6),
    st.floats(1, 1e6),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_brighter_values_never_look_darker(
    stored: list[int], center: float, width: float, function: str
) -> None:
    found = np.array([sorted(stored)], np.int16)
    gray = to_gray(image(), found, Presentation(), (center, width, function))
    assert (np.diff(gray.astype(int)) >= 0).all()


def test_stored_bits_alone_are_values() -> None:
    twelve = image(stored=12, signed=False)
    assert values(twelve, np.array([[0xF123]], np.uint16)).tolist() == [[0x123]]
    signed = image(stored=12)
    assert values(signed, np.array([[0x0FFF, 0x07FF]], np.int16)).tolist() == [[-1, 0x7FF]]


def test_single_bits_that_fill_no_byte_are_refused() -> None:
    bits = np.array([[1, 0, 1, 1, 0, 0, 0, 1]], np.uint8)
    assert native(image(allocated=1), bits) == b"\x8d"
    with pytest.raises(NotDecodableError):
        native(image(allocated=1), bits[:, :7])


def test_palettes_of_8_and_16_bits() -> None:
    eight = Table(entries=2, first=5, bits=8, data=b"\x01\xff")
    sixteen = Table(entries=2, first=5, bits=16, data=b"\x00\x80\xff\xff")
    found = np.array([[0, 5, 6, 200]], np.uint8)
    assert through_palette(found, (eight, sixteen, eight)).tolist() == [
        [[1, 128, 1], [1, 128, 1], [255, 255, 255], [255, 255, 255]]
    ]


def test_segments_are_runs_lines_and_repetitions() -> None:
    """PS3.3 Section C.7.9.2, in bytes: 3 discrete, 4 linear, and both again by reference."""
    data = bytes([0, 3, 10, 20, 30, 1, 4, 70, 2, 2, 0, 0, 0, 0])
    table = Table(entries=14, first=0, bits=8, data=data, segmented=True)
    once = [10, 20, 30, 40, 50, 60, 70]
    assert looked_up(table, np.arange(14)[None]).tolist() == [once * 2]


@given(st.binary(max_size=60), st.sampled_from([8, 16]), st.integers(1, 70_000))
def test_any_table_gives_entries_or_our_error(data: bytes, bits: int, entries: int) -> None:
    for segmented in (False, True):
        table = Table(entries=entries, first=0, bits=bits, data=data, segmented=segmented)
        try:
            looked_up(table, np.array([[0, 1, 70_000]]))
        except DamagedPixelsError:
            continue


def test_ybr_becomes_rgb() -> None:
    color = image(samples=3, allocated=8, stored=8, signed=False, columns=2)
    red_and_gray = np.array([[[76, 85, 255], [128, 128, 128]]], np.uint8)
    assert to_rgb(color, red_and_gray, "YBR_FULL").tolist() == [[[254, 0, 0], [128, 128, 128]]]
    with pytest.raises(NotDecodableError):
        to_rgb(color, red_and_gray, "HSV")


def picture(rows: int, columns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)


@pytest.mark.parametrize(
    ("view", "aspect", "shape"),
    [
        (None, (1, 1), (40, 20)),
        (None, (2, 1), (80, 20)),
        (Viewport(width=10, height=10), (1, 1), (10, 5)),
        (Viewport(width=100, height=100), (1, 1), (100, 50)),
        (Viewport(width=100, height=100), (1, 2), (100, 100)),
        (Viewport(width=8, height=8, x=10, y=20, source_width=4, source_height=4), (1, 1), (8, 8)),
    ],
)
def test_pictures_fit_and_keep_their_proportions(
    view: Viewport | None, aspect: tuple[int, int], shape: tuple[int, int]
) -> None:
    assert fitted(picture(40, 20), view, aspect).shape == shape


def test_a_part_may_be_mirrored_and_must_lie_within() -> None:
    whole = picture(4, 4)
    part = Viewport(width=2, height=2, x=1, y=1, source_width=-2, source_height=2)
    assert fitted(whole, part, (1, 1)).tolist() == [[6, 5], [10, 9]]
    with pytest.raises(NotDecodableError):
        fitted(whole, Viewport(width=2, height=2, x=4, y=0), (1, 1))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 60), st.integers(1, 60))
def test_resizing_an_even_gray_keeps_it(rows: int, columns: int, high: int, wide: int) -> None:
    even = np.full((rows, columns), 77, np.uint8)
    made = fitted(even, Viewport(width=wide, height=high), (1, 1))
    assert (made == 77).all()
    assert made.shape[0] <= high
    assert made.shape[1] <= wide


def test_smaller_pictures_are_averages_and_larger_ones_have_steps_between() -> None:
    board = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (600, 4))
    small = fitted(board, Viewport(width=4, height=600), (1, 1))
    assert small.shape == (600, 4)
    assert (small == 100).all()
    color = np.stack([board, board // 2, 255 - board], axis=-1)
    assert fitted(color, Viewport(width=4, height=600), (1, 1))[7, 3].tolist() == [100, 50, 155]
    large = fitted(np.array([[0, 100]], np.uint8), Viewport(width=4, height=4), (1, 1))
    assert large.tolist() == [[0, 25, 75, 100]] * 2


def test_overlays_are_cut_at_the_edges() -> None:
    target = np.zeros((3, 3), np.uint8)
    plane = Overlay(rows=2, columns=2, top=0, left=3, data=b"\x0f")
    _draw(target, plane, image(rows=3, columns=3), target)
    assert target.tolist() == [[0, 0, 255], [0, 0, 0], [0, 0, 0]]
    inside = np.array([[0x8000, 0], [0, 0x8001]], np.uint16)
    target = np.zeros((2, 2), np.uint8)
    _draw(target, Overlay(rows=2, columns=2, top=1, left=1, data=b"", bit=15), image(), inside)
    assert target.tolist() == [[255, 0], [0, 255]]


@given(st.binary(max_size=80))
def test_any_bytes_have_a_header_or_our_error(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\x4f\xff\x51"):
        for reader in (markers.jpeg, markers.jpeg2000):
            try:
                told = reader(memoryview(start + data))
            except DamagedPixelsError:
                continue
            assert told.precision >= 0
