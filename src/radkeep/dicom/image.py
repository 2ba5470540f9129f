# SPDX-License-Identifier: Apache-2.0
"""What the pixels of an instance are (PS3.3 Section C.7.6.3), and how they are meant to be seen.

Invariant: what is here is believable on its own: sizes within limits, tables with the entries that
they announce. Whether the pixel data keeps to it, only decoding tells.
"""

from typing import Final

import msgspec

from radkeep.dicom.attributes import Attributes, Peek, attributes
from radkeep.dicom.head import InstanceHead
from radkeep.domain.errors import DamagedPixelsError, NotDecodableError, TooLargeError

MAX_SIDE: Final = 65_535
MAX_FRAME_BYTES: Final = 512 << 20  # of one native frame
MAX_OVERLAYS: Final = 16
MAX_TABLE: Final = 1 << 16  # entries

_SAMPLES, _PHOTOMETRIC, _PLANAR = 0x00280002, 0x00280004, 0x00280006
_ROWS, _COLUMNS, _ASPECT, _SPACING = 0x00280010, 0x00280011, 0x00280034, 0x00280030
_ALLOCATED, _STORED, _SIGNED = 0x00280100, 0x00280101, 0x00280103
_CENTER, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_PALETTES: Final = (0x00281101, 0x00281102, 0x00281103)
_MODALITY_LUT, _VOI_LUT, _LUT_DESCRIPTOR, _LUT_DATA = 0x00283000, 0x00283010, 0x00283002, 0x00283006
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_TRANSFORMATION, _FRAME_VOI = 0x00289145, 0x00289132
_SHAPE: Final = 0x20500020
_OVERLAY_GROUPS: Final = tuple(range(0x6000, 0x6020, 2))
_OVERLAY: Final = (0x0010, 0x0011, 0x0015, 0x0050, 0x0051, 0x0100, 0x0102, 0x3000)
_ALONE: Final = frozenset(
    {
        *(_SAMPLES, _PHOTOMETRIC, _PLANAR, _ROWS, _COLUMNS, _ASPECT),
        *(_ALLOCATED, _STORED, _SIGNED, _CENTER, _WIDTH, _FUNCTION, _INTERCEPT, _SLOPE),
        *(_LUT_DESCRIPTOR, _LUT_DATA, _SHAPE),
        *_PALETTES,
        *(tag + 0x100 for tag in _PALETTES),  # data
        *(tag + 0x120 for tag in _PALETTES),  # segmented data
        *(group << 16 | element for group in _OVERLAY_GROUPS for element in _OVERLAY),
    }
)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """How the frames of an instance are made up."""

    transfer_syntax: str
    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int  # 1: all of one color, then all of the next
    allocated: int  # bits
    stored: int  # bits
    signed: bool
    floating: bool = False
    skip: int = 0  # bits of the frame before, in the first byte of native single bits

    @property
    def frame_bytes(self) -> int:
        """Return the bytes of one native frame; the last may have bits of the next."""
        return (self.rows * self.columns * self.samples * self.allocated + 7) // 8


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A look-up table (PS3.3 Sections C.11.1, C.11.2 and C.7.9)."""

    entries: int
    first: int  # the value that the first entry is for
    bits: int
    data: bytes  # little endian
    segmented: bool = False


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """A plane of single bits over a frame (PS3.3 Section C.9.2)."""

    rows: int
    columns: int
    top: int  # counted from 1
    left: int
    data: bytes  # one bit a pixel; empty when they lie in bit ``bit`` of the pixels
    skip: int = 0  # bits of ``data`` before the plane
    bit: int = 0


class Presentation(msgspec.Struct, frozen=True, kw_only=True):
    """From the values of one frame to what is seen."""

    slope: float = 1.0
    intercept: float = 0.0
    modality: Table | None = None
    windows: tuple[tuple[float, float], ...] = ()  # center and width
    function: str = "LINEAR"
    voi: Table | None = None
    palette: tuple[Table, Table, Table] | None = None
    inverse: bool = False
    overlays: tuple[Overlay, ...] = ()
    aspect: tuple[int, int] = (1, 1)  # height and width of a pixel


def image_of(head: InstanceHead, peek: Peek) -> tuple[Image, Attributes]:
    """Return what the pixels of ``head`` are, and the attributes that ``presentation`` reads.

    Raises:
        NotDecodableError: there is no pixel data.
        DamagedPixelsError: attributes are missing or make no sense.
        TooLargeError: a frame is over MAX_FRAME_BYTES.
    """
    pixel = head.pixel
    if pixel is None:
        raise NotDecodableError("the instance has no pixel data")
    found = attributes(head, _ALONE, peek)
    allocated = found.integer(_ALLOCATED)
    samples = found.integer(_SAMPLES, default=1)
    image = Image(
        transfer_syntax=head.transfer_syntax,
        rows=found.integer(_ROWS),
        columns=found.integer(_COLUMNS),
        samples=samples,
        photometric=found.text(_PHOTOMETRIC) or ("RGB" if samples > 1 else "MONOCHROME2"),
        planar=found.integer(_PLANAR) if samples > 1 else 0,
        allocated=allocated,
        stored=min(found.integer(_STORED, default=allocated), allocated),
        signed=found.integer(_SIGNED) == 1,
        floating=pixel.tag != 0x7FE00010,  # noqa: PLR2004 - Pixel Data, not Float Pixel Data
    )
    if not (
        0 < image.rows <= MAX_SIDE
        and 0 < image.columns <= MAX_SIDE
        and image.samples in (1, 3, 4)
        and image.allocated in (1, 8, 16, 32, 64)
        and image.stored > 0
        and image.planar in (0, 1)
    ):
        raise DamagedPixelsError("the attributes of the image make no sense")
    if image.frame_bytes > MAX_FRAME_BYTES:
        raise TooLargeError("the image is larger than what may be decoded")
    return image, found


def presentation(image: Image, found: Attributes, number: int) -> Presentation:
    """Return how frame ``number``, counted from 1, is meant to be seen.

    Of several VOI tables the first counts, and a table counts for more than windows.
    """
    transformation = _group(found, number, _TRANSFORMATION, _SLOPE)
    voi = _group(found, number, _FRAME_VOI, _WIDTH)
    intercept = found.decimal(*transformation, _INTERCEPT)
    widths = zip(found.decimals(*voi, _CENTER), found.decimals(*voi, _WIDTH), strict=False)
    aspect = found.integers(_ASPECT)[:2]
    high, wide = aspect if len(aspect) == 2 else (1, 1)  # noqa: PLR2004
    return Presentation(
        slope=found.decimal(*transformation, _SLOPE) or 1.0,
        intercept=intercept or 0.0,
        modality=_table(found, image, (_MODALITY_LUT, 0, _LUT_DESCRIPTOR), _LUT_DATA),
        windows=tuple((center, width) for center, width in widths if width >= 1),
        function=found.text(*voi, _FUNCTION) or "LINEAR",
        voi=_table(found, image, (_VOI_LUT, 0, _LUT_DESCRIPTOR), _LUT_DATA),
        palette=_palette(found, image),
        inverse=found.text(_SHAPE) == "INVERSE",
        overlays=_overlays(found, number),
        aspect=(high, wide) if 0 < high < MAX_SIDE and 0 < wide < MAX_SIDE else (1, 1),
    )


def _group(found: Attributes, number: int, macro: int, tag: int) -> tuple[int, ...]:
    """Return where a frame's functional group lies, or () for the top of the data set."""
    for path in ((_PER_FRAME, number - 1, macro, 0), (_SHARED, 0, macro, 0)):
        if (*path, tag) in found:
            return path
    return ()


def _table(found: Attributes, image: Image, at: tuple[int, ...], data: int) -> Table | None:
    described = found.integers(*at)
    if len(described) != 3:  # noqa: PLR2004 - entries, first value, bits
        return None
    entries, first, bits = described
    raw = found.raw(*at[:-1], data)
    if image.signed:
        _, first, _ = found.integers(*at, signed=True)
    entries = entries or MAX_TABLE
    if len(raw) < entries or not 1 <= bits <= 16:  # noqa: PLR2004
        return None
    return Table(entries=entries, first=first, bits=bits, data=raw)


def _palette(found: Attributes, image: Image) -> tuple[Table, Table, Table] | None:
    tables = []
    for tag in _PALETTES:
        table = _table(found, image, (tag,), tag + 0x100)
        segments = found.raw(tag + 0x120)
        described = found.integers(tag, signed=image.signed)
        if table is None and segments and len(described) == 3:  # noqa: PLR2004
            entries, first, bits = described
            entries = entries & 0xFFFF or MAX_TABLE
            table = Table(entries=entries, first=first, bits=bits, data=segments, segmented=True)
        if table is None:
            return None
        tables.append(table)
    return tables[0], tables[1], tables[2]


def _overlays(found: Attributes, number: int) -> tuple[Overlay, ...]:
    planes = []
    for group in _OVERLAY_GROUPS:
        base = group << 16
        rows, columns = found.integer(base | 0x0010), found.integer(base | 0x0011)
        if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
            continue
        origin = found.integers(base | 0x0050, signed=True)
        top, left = origin[:2] if len(origin) >= 2 else (1, 1)  # noqa: PLR2004
        count = found.integer(base | 0x0015, default=1)
        frame = number - found.integer(base | 0x0051, default=1)
        raw, size = found.raw(base | 0x3000), rows * columns
        if raw and (frame + 1) * size > len(raw) * 8:
            continue  # it has no plane for this frame, or not all of one
        if raw and not (0 <= frame < max(count, 1)):
            continue
        skip = frame * size
        planes.append(
            Overlay(
                rows=rows,
                columns=columns,
                top=top,
                left=left,
                data=raw[skip // 8 : -(-(skip + size) // 8)],
                skip=skip % 8,
                bit=found.integer(base | 0x0102),
            )
        )
    return tuple(planes[:MAX_OVERLAYS])
