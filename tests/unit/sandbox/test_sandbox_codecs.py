# SPDX-License-Identifier: Apache-2.0
"""Every codec in real workers: what is whole is decoded, what is not is refused, clearly."""

import random  # noqa: TID251 - the same bytes in every run
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest
from imagecodecs import htj2k_encode, jpegxl_encode
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from radkeep.dicom.image import Image, Presentation
from radkeep.dicom.looks import JPEG, PNG, Look
from radkeep.dicom.native import DECODABLE
from radkeep.domain.errors import (
    DamagedPixelsError,
    NotDecodableError,
    NotFoundError,
    TooLargeError,
)
from radkeep.sandbox import codecs
from radkeep.sandbox.decoder import SandboxDecoder
from radkeep.sandbox.wire import held

FILES = (
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPGExtended.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_RLE.dcm",
)
HTJ2K, JPEG_XL, DEFLATED = (
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.8.1",
)
NATIVE = "1.2.840.10008.1.2.1"


def one(name: str) -> tuple[Image, bytes]:
    """Return the first frame of a file of pydicom, and what it is."""
    path = get_testdata_file(name)
    assert isinstance(path, str)
    found = pydicom.dcmread(Path(path))
    frames = generate_frames(found.PixelData, number_of_frames=int(found.get("NumberOfFrames", 1)))
    image = Image(
        transfer_syntax=str(found.file_meta.TransferSyntaxUID),
        rows=found.Rows,
        columns=found.Columns,
        samples=found.SamplesPerPixel,
        photometric=found.PhotometricInterpretation,
        planar=found.get("PlanarConfiguration", 0),
        allocated=found.BitsAllocated,
        stored=found.BitsStored,
        signed=bool(found.PixelRepresentation),
    )
    return image, next(frames)


def gradient(syntax: str, frame: bytes) -> tuple[Image, bytes]:
    image = Image(
        transfer_syntax=syntax,
        rows=32,
        columns=32,
        samples=1,
        photometric="MONOCHROME2",
        planar=0,
        allocated=16,
        stored=16,
        signed=False,
    )
    return image, frame


PIXELS = (np.arange(1024, dtype=np.uint16) * 61).reshape(32, 32)


def deflated(data: bytes) -> bytes:
    """Return raw deflate of ``data``."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def every() -> Sequence[tuple[Image, bytes]]:
    return [
        *map(one, FILES),
        gradient(HTJ2K, bytes(htj2k_encode(PIXELS))),
        gradient(JPEG_XL, bytes(jpegxl_encode(PIXELS, lossless=True))),
        gradient(DEFLATED, deflated(PIXELS.tobytes())),
    ]


ALL = every()
NAMES = [*FILES, "htj2k", "jpeg-xl", "deflated"]


@pytest.mark.parametrize(("image", "frame"), ALL, ids=NAMES)
def test_whole_frames(decoder: SandboxDecoder, image: Image, frame: bytes) -> None:
    pixels, _ = decoder.native(image, held(frame), "a")
    assert len(pixels) == image.frame_bytes
    if image.rows == 32:
        assert pixels == PIXELS.tobytes()


@pytest.mark.parametrize(("image", "frame"), ALL, ids=NAMES)
def test_cut_frames_are_damaged(decoder: SandboxDecoder, image: Image, frame: bytes) -> None:
    for keep in (0, 1, 30, len(frame) // 2, len(frame) * 3 // 4):
        with pytest.raises(DamagedPixelsError):
            decoder.native(image, held(frame[:keep]), "a")


@pytest.mark.parametrize(("image", "frame"), ALL, ids=NAMES)
def test_frames_of_another_size_are_damaged(
    decoder: SandboxDecoder, image: Image, frame: bytes
) -> None:
    for wrong in (
        {"rows": image.rows * 2},
        {"columns": image.columns + 1},
        {"samples": 4 - image.samples},
    ):
        other = msgspec.structs.replace(image, **wrong)
        with pytest.raises((DamagedPixelsError, NotDecodableError)):
            decoder.native(other, held(frame), "a")


@pytest.mark.parametrize(("image", "frame"), ALL, ids=NAMES)
def test_changed_bytes_give_pixels_or_our_error(
    decoder: SandboxDecoder, image: Image, frame: bytes
) -> None:
    chance = random.Random(1)
    for _ in range(12):
        changed = bytearray(frame)
        for _ in range(chance.randint(1, 20)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            pixels, _ = decoder.native(image, held(bytes(changed)), "a")
        except DamagedPixelsError:
            continue
        assert len(pixels) == image.frame_bytes


def bomb(rows: int, columns: int) -> bytes:
    """Return the header of a JPEG 2000 codestream of that size."""
    size = columns.to_bytes(4) + rows.to_bytes(4) + bytes(8)
    return b"\xff\x4f\xff\x51\x00\x29\x00\x00" + size * 2 + b"\x00\x01\x07\x01\x01" + bytes(200)


def test_a_frame_that_says_it_is_huge_is_refused_before_it_is_decoded(
    decoder: SandboxDecoder,
) -> None:
    image, _ = one("MR_small_jp2klossless.dcm")
    began = time.monotonic()
    with pytest.raises(DamagedPixelsError):
        decoder.native(image, held(bomb(60_000, 60_000)), "a")
    huge = msgspec.structs.replace(image, rows=60_000, columns=60_000)
    with pytest.raises((DamagedPixelsError, TooLargeError)):
        decoder.native(huge, held(bomb(60_000, 60_000)), "a")
    assert time.monotonic() - began < 5


def test_a_deflated_frame_stops_at_its_size(decoder: SandboxDecoder) -> None:
    large = deflated(bytes(64 << 20))
    image, _ = gradient(DEFLATED, b"")
    pixels, _ = decoder.native(image, held(large), "a")
    assert pixels == bytes(2048)


def test_unknown_syntaxes_and_kinds_are_told(decoder: SandboxDecoder) -> None:
    image, frame = ALL[0]
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.3", "1.2.840.10008.1.2.4.999"):
        with pytest.raises(NotDecodableError):
            decoder.native(msgspec.structs.replace(image, transfer_syntax=syntax), held(frame), "a")


@pytest.mark.parametrize(
    ("media_type", "start"), [(PNG, b"\x89PNG\r\n\x1a\n"), (JPEG, b"\xff\xd8\xff")]
)
def test_pictures(decoder: SandboxDecoder, media_type: str, start: bytes) -> None:
    for image, frame in ALL:
        look = Look(media_type=media_type)
        picture = decoder.render(image, held(frame), Presentation(), look, "a")
        assert picture.content.startswith(start)
        assert (picture.width, picture.height) == (image.columns, image.rows)


def pdf(*lines: bytes, font: bytes = b"ComicSansMS") -> bytes:
    """Return a PDF of one page, in a font that neither it nor the machine has."""
    text = b"".join(
        b"BT /F1 24 Tf 20 %d Td (%s) Tj ET " % (150 - 30 * n, each) for n, each in enumerate(lines)
    )
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /TrueType /BaseFont /%s /Encoding /WinAnsiEncoding >>" % font,
        b"<< /Font << /F1 5 0 R >> >>",
    )
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % table)


def test_pages(decoder: SandboxDecoder) -> None:
    empty = decoder.page(held(pdf()), 1, Look(media_type=PNG), "a")
    written = decoder.page(held(pdf(b"Report", b"of nobody")), 1, Look(media_type=PNG), "a")
    assert (written.width, written.height, written.pages) == (625, 417, 1)
    assert len(written.content) > len(empty.content) + 500
    for broken in (b"", b"%PDF-1.4\n", pdf(b"x")[:300], bytes(1000)):
        with pytest.raises(DamagedPixelsError):
            decoder.page(held(broken), 1, Look(), "a")
    with pytest.raises(NotFoundError):
        decoder.page(held(pdf()), 2, Look(), "a")


def test_what_is_said_to_be_decodable_has_a_decoder() -> None:
    known = {f"1.2.840.10008.1.2.4.{part}" for part in codecs._CODERS}
    assert known | {codecs._RLE, codecs._DEFLATED_FRAME} == DECODABLE
