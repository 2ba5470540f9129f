# SPDX-License-Identifier: Apache-2.0
"""Every real image, decoded and drawn by workers, beside pydicom and DCMTK."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from corpus_files import UNREADABLE, Real, quiet
from corpus_house import dcmtk
from imagecodecs import png_decode
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi_lut,
    convert_color_space,
)

from radkeep.dicom.looks import PNG, Look
from radkeep.domain.errors import DamagedPixelsError, RadkeepError
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.retrieved import Retrieved

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "retrieval"))
from retrieval_house import House, reader

EXPLICIT = "1.2.840.10008.1.2.1"
# The codestream holds bytes that read as a delimiter and is cut short there: nobody decodes it.
DAMAGED = frozenset({"compressed/pydicom__JPEG2000-embedded-sequence-delimiter.dcm"})
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"  # pydicom's decoders do eight bits of it
NO_ORACLE = frozenset(  # neither pydicom's decoders nor DCMTK do these: single bits
    {"derived/pydicom-data__liver_deflate.dcm", "derived/pydicom-data__liver_rle.dcm"}
)
DCMTK_DECODES = {
    "1.2.840.10008.1.2.4.51": "dcmdjpeg",
    "1.2.840.10008.1.2.4.57": "dcmdjpeg",
    "1.2.840.10008.1.2.4.70": "dcmdjpeg",
    "1.2.840.10008.1.2.4.80": "dcmdjpls",
    "1.2.840.10008.1.2.4.81": "dcmdjpls",
}
COLORS = ("YBR_FULL", "YBR_FULL_422")
TOLERANCE = 2  # gray levels of 255: rounding, and pydicom's own range of a window
TOLD = frozenset({"odd/pydicom__badVR.dcm"})  # says that it has "1A" frames


def kept(real: Real, decoder: Decoder) -> Retrieved:
    house = House(decoder=decoder)
    place = house.keep(real.content)
    return house.fetch.instances(reader(), *place, purpose="test")[0]


@pytest.fixture(scope="module")
def images(
    storable: Sequence[Sequence[Real]], decoder: Decoder
) -> Sequence[tuple[Real, Retrieved]]:
    every = ((real, kept(real, decoder)) for batch in storable for real in batch)
    return [(real, instance) for real, instance in every if instance.head.pixel is not None]


def test_compressed_pixels_are_those_of_pydicom_or_dcmtk(
    images: Sequence[tuple[Real, Retrieved]], tmp_path: Path
) -> None:
    unlike, compared = {}, 0
    for real, instance in images:
        if not instance.head.pixel or not instance.head.pixel.encapsulated:
            continue
        try:
            made = b"".join(instance.part10_in(EXPLICIT)[1])
        except RadkeepError as error:
            if real.name not in DAMAGED:
                unlike[real.name] = repr(error)
            continue
        with quiet():
            got = pydicom.dcmread(io.BytesIO(made))
            ours = get_decoder(EXPLICIT).as_array(got, raw=True)[0]
            theirs = _oracle(real, tmp_path)
        if theirs is None:
            assert real.name in NO_ORACLE
        elif not np.array_equal(ours.squeeze(), theirs.squeeze()):
            unlike[real.name] = "other pixels"
        compared += theirs is not None
    assert unlike == {}
    assert compared > 50


def _oracle(real: Real, folder: Path) -> Any:  # noqa: ANN401 - an array
    sent = pydicom.dcmread(io.BytesIO(real.content), force=True)
    tool = DCMTK_DECODES.get(real.transfer_syntax)
    if tool is not None:
        options = ["+cn"] if tool == "dcmdjpeg" else []  # colors as they are
        done = dcmtk(tool, *options, str(real.path), str(folder / "plain.dcm"))
        if done.returncode == 0:
            return pydicom.dcmread(folder / "plain.dcm").pixel_array
    try:
        return get_decoder(real.transfer_syntax).as_array(sent, raw=True)[0]
    except (NotImplementedError, RuntimeError):
        return None


def test_pictures_are_what_pydicom_shows(images: Sequence[tuple[Real, Retrieved]]) -> None:
    unlike, compared = {}, 0
    for real, instance in images:
        try:
            picture = instance.rendered(1, Look(media_type=PNG))
        except DamagedPixelsError:
            assert real.name in DAMAGED
            continue
        with quiet():
            shown = _shown(real)
        if shown is None:
            continue
        ours = png_decode(picture.content).astype(int)
        if ours.shape != shown.shape:
            unlike[real.name] = f"{ours.shape} and {shown.shape}"
            continue
        off = np.abs(ours - shown)
        if (off > TOLERANCE).mean() > 0.001:
            unlike[real.name] = f"{off.max()} levels, {(off > TOLERANCE).sum()} pixels"
        compared += 1
    assert unlike == {}
    assert compared > 100


def _shown(real: Real) -> Any:  # noqa: ANN401 - an array
    """Return the first frame as pydicom shows it, of 8 bits; None for what it cannot."""
    if real.name in TOLD | NO_ORACLE | {UNREADABLE}:
        return None
    sent = pydicom.dcmread(io.BytesIO(real.content), force=True)
    aspect = sent.get("PixelAspectRatio", [1, 1])
    if any(0x6000 <= tag >> 16 < 0x6020 for tag in list(sent.keys())) or aspect[0] != aspect[1]:
        return None  # it draws no overlays and makes no pixels square
    decoder = get_decoder(real.transfer_syntax)
    twelve_bits = real.transfer_syntax == JPEG_EXTENDED and sent.BitsStored > 8
    if not decoder.is_available or twelve_bits:
        return None  # its pixels are compared with DCMTK's, if by anybody's
    pixels, told = decoder.as_array(sent, index=0, raw=True)
    photometric = told["photometric_interpretation"]
    if pixels.ndim == 3:
        return _color(pixels, photometric, int(sent.BitsStored))
    if photometric == "PALETTE COLOR":
        colors = apply_color_lut(pixels, sent).astype(int)
        wide = int(sent.RedPaletteColorLookupTableDescriptor[2]) > 8
        return colors >> 8 if wide else colors
    return _gray(pixels, sent)


def _color(pixels: Any, photometric: str, stored: int) -> Any:  # noqa: ANN401 - arrays
    if photometric in COLORS:
        pixels = convert_color_space(pixels, photometric, "RGB")
    elif photometric != "RGB":
        return None
    return (pixels >> max(stored - 8, 0)).astype(int)


def _gray(pixels: Any, sent: pydicom.Dataset) -> Any:  # noqa: ANN401 - arrays
    if "PerFrameFunctionalGroupsSequence" in sent or "SharedFunctionalGroupsSequence" in sent:
        return None  # it looks at the top of the data set alone
    levels = apply_modality_lut(pixels, sent).astype(float)
    if "VOILUTSequence" in sent:
        levels = apply_voi_lut(apply_modality_lut(pixels, sent), sent).astype(float)
        low, high = 0.0, float(2 ** int(sent.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    elif sent.get("WindowWidth"):
        low, high = _window(sent)
        gray = np.clip((levels - low) / (high - low), 0, 1) if high > low else levels > low
        low, high = 0.0, 1.0
        levels = gray.astype(float)
    else:
        low, high = float(levels.min()), float(levels.max())
    gray = np.rint((levels - low) / ((high - low) or 1.0) * 255).astype(int)
    return 255 - gray if sent.PhotometricInterpretation == "MONOCHROME1" else gray


def _window(sent: pydicom.Dataset) -> tuple[float, float]:
    """Return where the first window begins and ends (PS3.3 Section C.11.2.1.2.1)."""
    center, width = (
        float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
        for value in (sent.WindowCenter, sent.WindowWidth)
    )
    return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
