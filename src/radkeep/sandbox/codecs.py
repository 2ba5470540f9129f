# SPDX-License-Identifier: Apache-2.0
"""One frame as it was sent, to an array of pixels.

Invariant: what comes out has exactly the size and the samples that the attributes announce, and is
not asked of a codec before its own header says the same. A codec that fails, or returns something
else, means a damaged frame.
"""

import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from imagecodecs import _htj2k, _imcd, _jpeg2k, _jpeg8, _jpegls, _jpegxl
from numpy.typing import NDArray

from radkeep.dicom.image import Image
from radkeep.dicom.syntaxes import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from radkeep.domain.errors import DamagedPixelsError, NotDecodableError
from radkeep.sandbox import markers
from radkeep.sandbox.markers import Told

Pixels = NDArray[Any]  # rows, columns[, samples]
Coded = tuple[Pixels, str, int]  # with photometric interpretation and bits
_JPEG: Final = "1.2.840.10008.1.2.4."
_NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
_RLE: Final = "1.2.840.10008.1.2.5"
_DEFLATED_FRAME: Final = "1.2.840.10008.1.2.8.1"
_COLORS: Final = 3


def decode(image: Image, frame: memoryview) -> tuple[Pixels, str]:
    """Return the pixels of ``frame`` and the photometric interpretation that they have now.

    No color is converted but what the codestream itself undoes; halved chrominance is doubled.

    Raises:
        DamagedPixelsError: the frame is not what attributes and syntax say.
        NotDecodableError: nothing here decodes the syntax.
    """
    syntax = image.transfer_syntax
    if syntax in _NATIVE:
        return _native(image, frame)
    if syntax == _RLE:
        return _run_lengths(image, frame), image.photometric
    if syntax == _DEFLATED_FRAME:
        return _native(image, memoryview(_inflated(image, frame)))
    coder = _CODERS.get(syntax.removeprefix(_JPEG))
    if coder is None:
        raise NotDecodableError("no decoder for this transfer syntax")
    found, photometric, precision = coder(image, frame)
    if found.ndim == 3 and found.shape[2] == 1:  # noqa: PLR2004
        found = found[:, :, 0]
    if found.shape != _shape(image):
        raise DamagedPixelsError("the frame has another size than announced")
    return _typed(image, found, precision), photometric


def _typed(image: Image, found: Pixels, precision: int) -> Pixels:
    """Return ``found`` in words of the announced width, with its sign.

    Codestreams often hold signed numbers as if they had no sign, or the other way round.
    """
    if image.allocated == 1:
        return found
    if found.dtype.kind not in "iu":
        raise NotDecodableError("numbers of another kind than announced")
    if found.dtype.itemsize > image.allocated // 8:
        raise DamagedPixelsError("the frame has larger numbers than announced")
    wide = found.astype(f"<u{image.allocated // 8}", copy=False)
    if not image.signed:
        return wide
    signed = wide.view(f"<i{image.allocated // 8}")
    spare = image.allocated - precision
    if found.dtype.kind == "i" or spare <= 0:
        return signed
    return (wide << spare).view(signed.dtype) >> spare


def _native(image: Image, frame: memoryview) -> tuple[Pixels, str]:
    rows, columns, samples = image.rows, image.columns, image.samples
    count = rows * columns * samples
    if image.allocated == 1:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
        bits = bits[image.skip : image.skip + count]
        if bits.size != count or samples != 1:
            raise DamagedPixelsError("the frame is shorter than announced")
        return bits.reshape(rows, columns), image.photometric
    if image.floating:
        kind = f"<f{image.allocated // 8}"
    else:
        kind = f"<{'i' if image.signed else 'u'}{image.allocated // 8}"
    if image.photometric == "YBR_FULL_422" and samples == _COLORS and image.allocated == 8:  # noqa: PLR2004
        half = rows * (columns // 2) * 4
        if columns % 2 == 0 and half <= len(frame) < count:
            return _doubled(np.frombuffer(frame[:half], np.uint8), rows, columns), "YBR_FULL"
    if len(frame) < count * (image.allocated // 8):
        raise DamagedPixelsError("the frame is shorter than announced")
    found = np.frombuffer(frame, kind, count=count)
    if samples == 1:
        return found.reshape(rows, columns), image.photometric
    if image.planar:
        return found.reshape(samples, rows, columns).transpose(1, 2, 0), image.photometric
    return found.reshape(rows, columns, samples), image.photometric


def _doubled(frame: NDArray[np.uint8], rows: int, columns: int) -> Pixels:
    """Give each pixel its own chrominance (PS3.3 Section C.7.6.3.1.2: Y Y Cb Cr)."""
    pairs = frame.reshape(rows, columns // 2, 4)
    whole = np.empty((rows, columns, _COLORS), np.uint8)
    whole[:, 0::2, 0], whole[:, 1::2, 0] = pairs[:, :, 0], pairs[:, :, 1]
    for sample in (1, 2):
        whole[:, 0::2, sample] = whole[:, 1::2, sample] = pairs[:, :, sample + 1]
    return whole


def _run_lengths(image: Image, frame: memoryview) -> Pixels:
    """Undo RLE (PS3.5 Annex G)."""
    if image.allocated == 1:
        packed = _called(_imcd.dicomrle_decode, frame, "u1", out=image.frame_bytes)
        return _native(image, memoryview(packed))[0]
    kind = np.dtype(f"<{'i' if image.signed else 'u'}{image.allocated // 8}")
    raw = _called(_imcd.dicomrle_decode, frame, kind, out=image.frame_bytes)
    if len(raw) != image.frame_bytes:
        raise DamagedPixelsError("the frame has another size than announced")
    found = np.frombuffer(raw, kind)
    if image.samples == 1:
        return found.reshape(image.rows, image.columns)
    return found.reshape(image.samples, image.rows, image.columns).transpose(1, 2, 0)


def _inflated(image: Image, frame: memoryview) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflater.decompress(frame, image.frame_bytes + 1)[: image.frame_bytes]
    except zlib.error as error:
        raise DamagedPixelsError("the frame cannot be inflated") from error


def _jpeg(image: Image, frame: memoryview) -> Coded:
    """Undo JPEG of any process: baseline, extended, lossless."""
    told = _agreed(image, markers.jpeg(frame))
    if told.samples == 1:
        return _called(_jpeg8.jpeg8_decode, frame), image.photometric, told.precision
    if told.samples != _COLORS:
        raise NotDecodableError("no decoder for this number of colors")
    # The same color space twice: components come out as they are, without conversion.
    same = {"colorspace": "YCBCR", "outcolorspace": "YCBCR"}
    return _called(_jpeg8.jpeg8_decode, frame, **same), _colors(image, told), told.precision


def _jpeg_ls(image: Image, frame: memoryview) -> Coded:
    told = _agreed(image, markers.jpeg(frame))
    return _called(_jpegls.jpegls_decode, frame), _colors(image, told), told.precision


def _jpeg_2000(image: Image, frame: memoryview) -> Coded:
    told = _agreed(image, markers.jpeg2000(frame))
    return _called(_jpeg2k.jpeg2k_decode, frame), _uncoupled(image), told.precision


def _high_throughput(image: Image, frame: memoryview) -> Coded:
    told = _agreed(image, markers.jpeg2000(frame))
    markers.require_end(frame)
    return _called(_htj2k.htj2k_decode, frame), _uncoupled(image), told.precision


def _jpeg_xl(image: Image, frame: memoryview) -> Coded:
    found = _called(_jpegxl.jpegxl_decode, frame, numthreads=1)
    return found, "RGB" if image.samples == _COLORS else image.photometric, image.stored


def _agreed(image: Image, told: Told) -> Told:
    announced = image.rows, image.columns, image.samples
    room = max(image.allocated, 8)
    if (told.rows, told.columns, told.samples) != announced or not 0 < told.precision <= room:
        raise DamagedPixelsError("the frame has another size than announced")
    return told


def _colors(image: Image, told: Told) -> str:
    """Return what three components mean, of which the codestream may know more."""
    if image.samples != _COLORS:
        return image.photometric
    if told.rgb:
        return "RGB"
    if told.ybr and not image.photometric.startswith("YBR"):
        return "YBR_FULL"
    return "YBR_FULL" if image.photometric == "YBR_FULL_422" else image.photometric


def _uncoupled(image: Image) -> str:
    """Return what is left when the codestream's own color transform is undone."""
    return "RGB" if image.photometric in ("YBR_RCT", "YBR_ICT") else image.photometric


def _called(function: Callable[..., Any], *arguments: object, **options: object) -> Any:  # noqa: ANN401
    swallowed: list[object] = []  # errors that a codec could not raise through its own frames
    former, sys.unraisablehook = sys.unraisablehook, swallowed.append
    try:
        found = function(*arguments, **options)
    except MemoryError:
        raise
    except Exception as error:  # each codec has an error of its own
        raise DamagedPixelsError("the codec refuses the frame") from error
    finally:
        sys.unraisablehook = former
    if swallowed:
        raise DamagedPixelsError("the codec refuses the frame")
    return found


def _shape(image: Image) -> tuple[int, ...]:
    size = image.rows, image.columns
    return size if image.samples == 1 else (*size, image.samples)


_CODERS: Final[dict[str, Callable[[Image, memoryview], Coded]]] = {
    **dict.fromkeys(("50", "51", "53", "55", "57", "70"), _jpeg),
    **dict.fromkeys(("80", "81"), _jpeg_ls),
    **dict.fromkeys(("90", "91", "92", "93"), _jpeg_2000),
    **dict.fromkeys(("201", "202", "203"), _high_throughput),
    **dict.fromkeys(("110", "111", "112"), _jpeg_xl),
}
