# SPDX-License-Identifier: Apache-2.0
"""Compressed instances leave uncompressed: the same pixels, and nothing else changed."""

import io
import logging
import warnings
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.pixels import get_decoder
from retrieval_house import House, reader, real

from radkeep.dicom.looks import PNG, Look, Viewport
from radkeep.domain.errors import (
    DamagedPixelsError,
    NotDecodableError,
    NotFoundError,
    UnavailableError,
)
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.retrieved import Retrieved

EXPLICIT = "1.2.840.10008.1.2.1"
DECODED = (
    "JPEG2000.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "examples_ybr_color.dcm",
    "rtdose_rle.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_jpeg2k.dcm",
)
PADDING = 0xFFFCFFFC  # a tag without meaning
CHANGED = {0x00280004, 0x00280006, 0x7FE00010}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def fetched(data: bytes, decoder: Decoder | None) -> Retrieved:
    house = House(decoder=decoder)
    return house.fetch.instances(reader(), *house.keep(data), purpose="test")[0]


@pytest.mark.parametrize("name", DECODED)
def test_pixels_are_those_that_pydicom_decodes(decoder: Decoder, name: str) -> None:
    file = real(name)
    length, pieces = fetched(file.data, decoder).part10_in(EXPLICIT)
    made = b"".join(pieces)
    assert len(made) == length
    got, sent = pydicom.dcmread(io.BytesIO(made)), file.expected
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    coder = get_decoder(sent.file_meta.TransferSyntaxUID)
    pixels, told = coder.as_array(sent, raw=True)
    assert np.array_equal(get_decoder(EXPLICIT).as_array(got, raw=True)[0], pixels)
    halved = told["photometric_interpretation"] == "YBR_FULL_422"
    expected = "YBR_FULL" if halved else told["photometric_interpretation"]
    assert got.PhotometricInterpretation == expected
    sent.pop(PADDING, None)
    assert {element.tag for element in got} == {element.tag for element in sent}
    for element in sent:
        if element.tag not in CHANGED and element.tag.element:
            assert got[element.tag] == element


def test_implicit_value_representations_are_made_too(decoder: Decoder) -> None:
    file = real("MR_small_RLE.dcm")
    _, pieces = fetched(file.data, decoder).part10_in("1.2.840.10008.1.2")
    got = pydicom.dcmread(io.BytesIO(b"".join(pieces)))
    assert got.original_encoding == (True, True)
    assert np.array_equal(got.pixel_array, file.expected.pixel_array)


@pytest.mark.parametrize("name", DECODED)
def test_frames_are_those_of_the_whole(decoder: Decoder, name: str) -> None:
    file = real(name)
    instance = fetched(file.data, decoder)
    whole = pydicom.dcmread(io.BytesIO(b"".join(instance.part10_in(EXPLICIT)[1]))).PixelData
    frames = [instance.native_frame(number + 1) for number in range(instance.stored.frames)]
    assert b"".join(frames) == whole[: sum(map(len, frames))]
    with pytest.raises(NotFoundError):
        instance.native_frame(instance.stored.frames + 1)


def test_what_cannot_be_decoded_says_so_before_the_first_byte(decoder: Decoder) -> None:
    file = real("MR_small_jp2klossless.dcm")
    at = file.data.index(b"\xff\x4f\xff\x51") + 8  # the size of the image
    broken = file.data[:at] + bytes(8) + file.data[at + 8 :]
    with pytest.raises(DamagedPixelsError):
        fetched(broken, decoder).data_set_in(EXPLICIT)
    for name, target in (
        ("CT_small.dcm", "1.2.840.10008.1.2.5"),
        ("JPEG2000.dcm", "1.2.840.10008.1.2.4.80"),
    ):
        with pytest.raises(NotDecodableError):
            fetched(real(name).data, decoder).data_set_in(target)


def test_without_a_sandbox_nothing_is_decoded() -> None:
    instance = fetched(real("JPEG2000.dcm").data, None)
    with pytest.raises(UnavailableError):
        instance.data_set_in(EXPLICIT)
    with pytest.raises(UnavailableError):
        instance.rendered(1, Look())


@pytest.mark.parametrize(
    ("name", "number", "size"),
    [
        ("CT_small.dcm", 1, (128, 128)),
        ("MR_small_bigendian.dcm", 1, (64, 64)),
        ("image_dfl.dcm", 1, (512, 512)),
        ("examples_palette.dcm", 1, (800, 350)),
        ("examples_overlay.dcm", 1, (484, 300)),
        ("liver_1frame.dcm", 1, (512, 512)),
        ("SC_ybr_full_422_uncompressed.dcm", 1, (100, 100)),
        ("rtdose.dcm", 15, (10, 10)),
        ("SC_rgb_rle_32bit_2frame.dcm", 2, (100, 100)),
    ],
)
def test_images_of_many_kinds_are_drawn(
    decoder: Decoder, name: str, number: int, size: tuple[int, int]
) -> None:
    instance = fetched(real(name).data, decoder)
    picture = instance.rendered(number, Look(media_type=PNG))
    assert (picture.width, picture.height) == size
    small = instance.rendered(number, Look(viewport=Viewport(width=50, height=50)))
    assert max(small.width, small.height) == 50
    with pytest.raises(NotFoundError):
        instance.rendered(9999, Look())


def test_what_is_no_image_is_not_drawn(decoder: Decoder) -> None:
    with pytest.raises(NotDecodableError):
        fetched(real("reportsi.dcm").data, decoder).rendered(1, Look())
