# SPDX-License-Identifier: Apache-2.0
"""Real files on their way out: the same bytes, and the frames that pydicom finds."""

import base64
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from pydicom.encaps import generate_frames
from retrieval_house import BASE, House, Real, joined, reader, real

from radkeep.domain.errors import NotFoundError
from radkeep.retrieval.retrieved import Retrieved

NATIVE = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_padded.dcm",
    "rtdose.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_overlay.dcm",
    "liver_1frame.dcm",
)
BIG_ENDIAN = (
    "ExplVR_BigEnd.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "rtdose_expb.dcm",
    "liver_expb_1frame.dcm",
)
DEFLATED = ("image_dfl.dcm",)
ENCAPSULATED = (
    "JPEG2000.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "JPGExtended.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_ybr_color.dcm",
    "rtdose_rle.dcm",
)
WITHOUT_PIXELS = ("reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def fetched(file: Real) -> Retrieved:
    house = House()
    study, _, _ = house.keep(file.data)
    (found,) = house.fetch.instances(reader(), study, purpose="wado-rs")
    return found


@pytest.mark.parametrize("name", NATIVE + BIG_ENDIAN + DEFLATED + ENCAPSULATED + WITHOUT_PIXELS)
def test_the_data_set_leaves_bit_for_bit_under_our_own_meta(name: str) -> None:
    file = real(name)
    found = fetched(file)
    sent = joined(found.part10())
    assert len(sent) == found.part10_length()
    data_set = joined(found.data_set())
    assert file.data.endswith(data_set)
    assert sent.endswith(data_set)
    meta = sent[: len(sent) - len(data_set)]
    assert meta.startswith(bytes(128) + b"DICM")
    read = pydicom.dcmread(io.BytesIO(sent))
    assert read.file_meta.TransferSyntaxUID == file.expected.file_meta.TransferSyntaxUID
    assert read.file_meta.MediaStorageSOPInstanceUID == file.expected.SOPInstanceUID
    assert read.file_meta.ImplementationVersionName == "RADKEEP"
    assert read == file.expected


@pytest.mark.parametrize("name", NATIVE + BIG_ENDIAN + DEFLATED + ENCAPSULATED)
def test_frames_are_those_of_pydicom(name: str) -> None:
    file = real(name)
    found = fetched(file)
    expected = list(frames(file.expected))
    for number, frame in enumerate(expected, 1):
        length, pieces = found.frame(number)
        body = joined(pieces)
        assert len(body) == length
        assert body == frame
    for number in (0, -1, len(expected) + 1):
        with pytest.raises(NotFoundError):
            found.frame(number)


def frames(expected: pydicom.Dataset) -> Iterator[bytes]:
    """Yield what PS3.18 wants of each frame: encapsulated as it is, native in little endian."""
    count = int(expected.get("NumberOfFrames") or 1)
    value = expected.PixelData
    if expected.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from generate_frames(value, number_of_frames=count)
        return
    bits = expected.Rows * expected.Columns * expected.SamplesPerPixel * expected.BitsAllocated
    if expected.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    if not expected.file_meta.TransferSyntaxUID.is_little_endian:
        word = max(expected.BitsAllocated // 8, 1 if expected["PixelData"].VR == "OB" else 2)
        value = b"".join(value[at : at + word][::-1] for at in range(0, len(value), word))
    for number in range(count):
        yield value[number * bits // 8 : -(-(number + 1) * bits // 8)]


@pytest.mark.parametrize("name", WITHOUT_PIXELS)
def test_what_has_no_pixels_has_no_frames(name: str) -> None:
    with pytest.raises(NotFoundError):
        fetched(real(name)).frame(1)


@pytest.mark.parametrize("name", NATIVE + BIG_ENDIAN + DEFLATED + ENCAPSULATED + WITHOUT_PIXELS)
def test_every_address_in_the_metadata_leads_to_its_value(name: str) -> None:
    file = real(name)
    found = fetched(file)
    said = json.loads(found.metadata(BASE))
    expected = file.expected.to_json_dict()
    addresses = list(walked(said, expected))
    for address, value, vr in addresses:
        path = address.removeprefix(f"{BASE}/")
        if path == "frames" or file.expected.file_meta.TransferSyntaxUID.is_encapsulated:
            continue
        assert path.startswith("bulkdata/")
        length, pieces = found.bulk(path.removeprefix("bulkdata/"))
        body = joined(pieces)
        assert len(body) == length
        assert body == base64.b64decode(value), (name, path, vr)
    if name not in WITHOUT_PIXELS:
        assert addresses


def walked(said: dict[str, Any], expected: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each BulkDataURI of ``said`` with what pydicom has there."""
    for tag, attribute in said.items():
        if "BulkDataURI" in attribute:
            yield (
                attribute["BulkDataURI"],
                expected[tag].get("InlineBinary", ""),
                attribute["vr"],
            )
        elif attribute["vr"] == "SQ":
            items = attribute.get("Value", [])
            for one, other in zip(items, expected[tag]["Value"], strict=True):
                yield from walked(one, other)


def test_an_address_that_nobody_gave_out_is_not_found() -> None:
    found = fetched(real("CT_small.dcm"))
    for path in ("00100010/1", "../secret", "", "7FE00011", "zzzz", "7FE00010/9/7FE00010"):
        with pytest.raises(NotFoundError):
            found.bulk(path)


def test_an_odd_frame_of_big_endian_words_begins_within_one() -> None:
    file = real("SC_rgb_small_odd_big_endian.dcm")
    two = pydicom.dcmread(io.BytesIO(file.data))
    two.NumberOfFrames = 2  # of 27 bytes each: the second begins in the middle of a word
    little = bytes(range(1, 55))
    two.PixelData = b"".join(little[at : at + 2][::-1] for at in range(0, 54, 2))
    out = io.BytesIO()
    two.save_as(out)
    found = fetched(Real("two", out.getvalue(), two))
    for number, expected in ((1, little[:27]), (2, little[27:])):
        length, pieces = found.frame(number)
        assert joined(pieces) == expected
        assert length == 27
