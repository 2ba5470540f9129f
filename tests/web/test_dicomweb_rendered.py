# SPDX-License-Identifier: Apache-2.0
"""Pictures, thumbnails and decoded pixels over DICOMweb, from real workers."""

from collections.abc import Callable, Sequence
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagecodecs import jpeg8_decode, png_decode
from pydicom.data import get_testdata_file

from radkeep.dicom.encode import encode
from radkeep.dicom.looks import Look, Viewport
from radkeep.dicom.part10 import file_meta
from radkeep.domain.errors import InvalidRequestError
from radkeep.web.dicomweb.looks import wish_of
from radkeep.web.kit.media_types import parse_accept
from radkeep.web.kit.problems import NotAcceptableError

if TYPE_CHECKING:
    from tests.web.conftest import Web

UID = "1.2.826.0.1.3680043.8.498.9"
STUDY = f"/dicom-web/studies/{UID}.1"
SERIES = f"{STUDY}/series/{UID}.1.1"
INSTANCE = f"{SERIES}/instances/{UID}.1.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG, PNG = "image/jpeg", "image/png"
Make = Callable[..., bytes]


@pytest.fixture
def filled(web: "Web", make_file: Make) -> "Web":
    files = [make_file(), make_file(number=2), make_file(series=2)]
    assert web.store(*files).status_code == 200
    return web


def parts(answer: httpx2.Response) -> list[tuple[str, bytes]]:
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content)
    assert message.is_multipart()
    return [(part["Content-Type"], part.get_payload(decode=True)) for part in message.get_payload()]


def address(name: str) -> tuple[str, bytes, pydicom.Dataset]:
    """Return where a file of pydicom is found once it is stored, and the file."""
    path = get_testdata_file(name)
    assert isinstance(path, str)
    found = pydicom.dcmread(path)
    where = (
        f"/dicom-web/studies/{found.StudyInstanceUID}/series/{found.SeriesInstanceUID}"
        f"/instances/{found.SOPInstanceUID}"
    )
    return where, Path(path).read_bytes(), found


def test_a_picture_is_what_the_pixels_are(filled: "Web") -> None:
    answer = filled.get(f"{INSTANCE}/frames/2/rendered", PNG)
    assert answer.headers["content-type"] == PNG
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["cache-control"].endswith("no-store")
    assert answer.headers["content-location"].endswith(f"{INSTANCE}/frames/2/rendered")
    assert png_decode(answer.content).tolist() == (
        np.rint(np.arange(16) / 15 * 255).astype(int).reshape(4, 4).tolist()
    )


@pytest.mark.parametrize(("path", "count"), [(STUDY, 3), (SERIES, 2)])
def test_many_pictures_come_in_parts(filled: "Web", path: str, count: int) -> None:
    answer = filled.get(f"{path}/rendered", f'multipart/related; type="{JPEG}"')
    assert [kind for kind, _ in parts(answer)] == [JPEG] * count
    assert all(jpeg8_decode(content).shape == (4, 4) for _, content in parts(answer))
    assert filled.get(f"{path}/rendered", JPEG).status_code == 406


def test_several_frames_come_in_parts(filled: "Web") -> None:
    found = parts(filled.get(f"{INSTANCE}/frames/1,2/rendered"))
    assert [kind for kind, _ in found] == [JPEG, JPEG]
    one = filled.get(f"{INSTANCE}/rendered", f'multipart/related; type="{PNG}"')
    assert [kind for kind, _ in parts(one)] == [PNG]


@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE, f"{INSTANCE}/frames/1"])
def test_thumbnails(filled: "Web", path: str) -> None:
    answer = filled.get(f"{path}/thumbnail")
    assert answer.headers["content-type"] == JPEG
    assert jpeg8_decode(answer.content).shape == (128, 128)
    small = filled.get(f"{path}/thumbnail?viewport=20,10", PNG)
    assert png_decode(small.content).shape == (10, 10)


def test_what_is_asked_for_is_done_or_told(filled: "Web") -> None:
    dark = filled.get(f"{INSTANCE}/rendered?window=1000,10,linear", PNG)
    assert png_decode(dark.content).max() == 0
    large = filled.get(f"{INSTANCE}/rendered?viewport=40,40,0,0,2,2&accept=image/png")
    assert png_decode(large.content).shape == (40, 40)
    told = filled.get(f"{INSTANCE}/rendered?annotation=patient,technique&quality=10")
    assert "not burned in" in told.headers["warning"]
    coarse = filled.get(f"{INSTANCE}/rendered?quality=1&viewport=300,300").content
    assert len(coarse) < len(filled.get(f"{INSTANCE}/rendered?viewport=300,300").content)


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("window=1,0,linear", None, 400),
        ("window=1", None, 400),
        ("window=a,b,linear", None, 400),
        ("window=nan,1,linear", None, 400),
        ("window=1,2,cubic", None, 400),
        ("viewport=0,1", None, 400),
        ("viewport=1", None, 400),
        ("viewport=99999,1", None, 400),
        ("viewport=1,1,-1,0,1,1", None, 400),
        ("viewport=1,1,99,99,1,1", None, 406),
        ("quality=0", None, 400),
        ("quality=101", None, 400),
        ("quality=1&quality=2", None, 400),
        ("annotation=name", None, 400),
        ("iccprofile=cmyk", None, 400),
        ("shout=1", None, 400),
        ("", "image/gif", 406),
        ("", "*/*, image/jpeg;q=0, image/png;q=0", 406),
        ("", "video/mp4", 406),
        ("", "application/dicom", 406),
    ],
)
def test_what_is_refused(filled: "Web", query: str, accept: str | None, status: int) -> None:
    answer = filled.get(f"{INSTANCE}/rendered?{query}", accept)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_frames_that_are_not_there(filled: "Web") -> None:
    assert filled.get(f"{INSTANCE}/frames/3/rendered").status_code == 404
    assert filled.get(f"{INSTANCE}/frames/0/rendered").status_code == 400
    assert filled.get(f"/dicom-web/studies/{UID}.7/thumbnail").status_code == 404
    assert filled.send("GET", f"{INSTANCE}/rendered", token="").status_code == 401


def test_what_is_no_image_is_left_out_or_refused(web: "Web") -> None:
    where, report, _ = address("reportsi.dcm")
    assert web.store(report).status_code == 200
    for path in ("rendered", "thumbnail"):
        answer = web.get(f"{where}/{path}")
        assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-decodable")
    study = where.partition("/series")[0]
    assert web.get(f"{study}/rendered").status_code == 406


PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1"
    b">>endobj 3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 144]>>endobj trailer<</Root 1 0 R>>"
)


def test_documents_are_shown_page_by_page(web: "Web") -> None:
    uids = [(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.104.1"), (0x00080018, "UI", f"{UID}.9.1.1")]
    uids += [(0x0020000D, "UI", f"{UID}.9"), (0x0020000E, "UI", f"{UID}.9.1")]
    kind = (0x00420012, "LO", "application/pdf")
    document = encode([*uids, (0x00420011, "OB", PDF), kind])
    assert web.store(file_meta(uids[0][2], uids[1][2], EXPLICIT) + document).status_code == 200
    where = f"/dicom-web/studies/{UID}.9/series/{UID}.9.1/instances/{UID}.9.1.1"
    for path in ("rendered", "frames/1/rendered", "thumbnail"):
        answer = web.get(f"{where}/{path}?viewport=100,100", PNG)
        assert png_decode(answer.content).shape == (100, 50, 3)
    assert web.get(f"{where}/frames/2/rendered").status_code == 404


def test_damaged_pixels_are_told(web: "Web") -> None:
    where, file, _ = address("MR_small_jp2klossless.dcm")
    at = file.index(b"\xff\x4f\xff\x51") + 8
    assert web.store(file[:at] + bytes(8) + file[at + 8 :]).status_code == 200
    decoded = f"application/octet-stream; transfer-syntax={EXPLICIT}"
    for path, accept in (("rendered", JPEG), ("thumbnail", JPEG), ("frames/1", decoded)):
        answer = web.get(f"{where}/{path}", accept)
        assert (answer.status_code, answer.json()["type"]) == (406, "/problems/damaged-pixels")


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "SC_rgb_rle_2frame.dcm", "JPEG2000.dcm"])
def test_pixels_are_decoded_for_who_asks(web: "Web", name: str) -> None:
    where, file, sent = address(name)
    assert web.store(file).status_code == 200
    answer = web.get(where, f"application/dicom; transfer-syntax={EXPLICIT}")
    assert int(answer.headers["content-length"]) == len(answer.content)
    got = pydicom.dcmread(pydicom.filebase.DicomBytesIO(answer.content))
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    assert np.array_equal(got.pixel_array, sent.pixel_array)
    wanted = f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}'
    count = int(sent.get("NumberOfFrames", 1))
    numbers = ",".join(str(number + 1) for number in range(count))
    frames = parts(web.get(f"{where}/frames/{numbers}", wanted))
    assert {kind for kind, _ in frames} == {f"application/octet-stream; transfer-syntax={EXPLICIT}"}
    assert b"".join(content for _, content in frames) == got.PixelData
    stored = web.get(f"{where}/frames/1", wanted.replace(EXPLICIT, "*"))
    assert parts(stored)[0][0].endswith(str(sent.file_meta.TransferSyntaxUID))


def test_a_series_of_several_syntaxes_is_decoded_into_one(web: "Web", make_file: Make) -> None:
    where, compressed, sent = address("MR_small_RLE.dcm")
    plain = make_file(
        t0020000D=("UI", sent.StudyInstanceUID), t0020000E=("UI", sent.SeriesInstanceUID)
    )
    assert web.store(compressed, plain).status_code == 200
    wanted = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}'
    answer = web.get(where.partition("/instances")[0], wanted)
    kinds = [kind for kind, _ in parts(answer)]
    assert kinds == [f"application/dicom; transfer-syntax={EXPLICIT}"] * 2
    assert plain in [content for _, content in parts(answer)]


def test_twelve_bit_jpeg_is_decoded_for_viewers(web: "Web") -> None:
    where, file, sent = address("JPGExtended.dcm")
    assert web.store(file).status_code == 200
    viewer = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    ((kind, content),) = parts(web.get(f"{where}/frames/1", viewer))
    assert kind.endswith(f"transfer-syntax={EXPLICIT}")
    assert len(content) == sent.Rows * sent.Columns * 2


KEYS = st.sampled_from(["window", "viewport", "quality", "annotation", "iccprofile", "accept", "x"])
VALUES = st.text(st.sampled_from("0123456789,.-eanlir "), max_size=20)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4), st.sampled_from(["", "*/*", JPEG, "a/b"]))
def test_any_query_is_a_wish_or_our_error(query: Sequence[tuple[str, str]], accept: str) -> None:
    try:
        wish = wish_of(query, parse_accept(accept))
    except (InvalidRequestError, NotAcceptableError):
        return
    assert isinstance(wish.look, Look)
    assert wish.look.viewport is None or isinstance(wish.look.viewport, Viewport)
    assert 1 <= wish.look.quality <= 100
