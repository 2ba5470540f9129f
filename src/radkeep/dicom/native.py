# SPDX-License-Identifier: Apache-2.0
"""The head that a compressed instance has when its pixels are native (PS3.5 Annex A.2).

Invariant: what is not about the form of the pixels stays byte for byte.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from radkeep.dicom.encode import encode
from radkeep.dicom.head import InstanceHead, PixelLayout
from radkeep.dicom.headers import EXPLICIT_LITTLE as CODING
from radkeep.dicom.headers import FORMS, SHORT, Cut
from radkeep.dicom.image import Image
from radkeep.dicom.reader import What, read
from radkeep.dicom.syntaxes import EXPLICIT_LITTLE, syntax
from radkeep.domain.errors import NotDecodableError, TooLargeError

PIXEL_DATA: Final = 0x7FE00010
_PHOTOMETRIC, _PLANAR, _ICON = 0x00280004, 0x00280006, 0x00880200
_OFFSETS: Final = frozenset({0x7FE00001, 0x7FE00002})  # of fragments that are no more
# What the sandbox decodes without losing anything that the codestream holds.
DECODABLE: Final = frozenset(
    {
        "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.8.1",
        *(
            f"1.2.840.10008.1.2.4.{part}"
            for part in (50, 51, 53, 55, 57, 70, 80, 81, 90, 91, 92, 93)
        ),
        *(f"1.2.840.10008.1.2.4.{part}" for part in (110, 111, 112, 201, 202, 203)),
    }
)
_MAX_LENGTH: Final = 0xFFFFFFFE


class _Part(NamedTuple):
    """One element at the top, with all that is in it."""

    tag: int
    start: int
    stop: int
    compressed: bool  # it holds fragments


def native_head(
    head: InstanceHead, image: Image, photometric: str
) -> tuple[InstanceHead, PixelLayout]:
    """Return the head of the same instance in explicit VR little endian, and its pixel layout.

    Its pixel data begins at the end of the body, where ``head`` has nothing: the caller puts the
    decoded frames there. A compressed icon is left out, which the standard lets be absent.

    Raises:
        NotDecodableError: it holds compressed data besides Pixel Data and icon.
        TooLargeError: the pixel data would be over 4 GiB.
        UndecodableError: the head holds no data set.
    """
    encoding, pixel = syntax(head.transfer_syntax), head.pixel
    if pixel is None or not encoding.explicit or encoding.big or encoding.deflated:
        raise NotDecodableError("the data set cannot be changed into this transfer syntax")
    length = image.frame_bytes * pixel.frames
    if length > _MAX_LENGTH:
        raise TooLargeError("the pixel data is too large for an uncompressed transfer syntax")
    elements, cuts = _edited(head, image, photometric)
    border = len(head.layout.elements)
    shift = len(elements) - border
    cuts += [(at + shift, size, where) for at, size, where in head.layout.cuts if at > border]
    layout = PixelLayout(
        tag=PIXEL_DATA,
        vr="OB" if image.allocated <= 8 else "OW",  # noqa: PLR2004 - PS3.5 Annex A.2
        offset=head.received_length,
        length=length + length % 2,
        frames=pixel.frames,
        frame_bits=image.frame_bytes * 8,
    )
    changed = msgspec.structs.replace(
        head.layout, elements=elements, cuts=tuple(cuts), pixel=layout
    )
    made = msgspec.structs.replace(head, transfer_syntax=EXPLICIT_LITTLE, layout=changed)
    return made, layout


def _edited(head: InstanceHead, image: Image, photometric: str) -> tuple[bytes, list[Cut]]:
    data, out, cuts = head.layout.elements, bytearray(), list[Cut]()
    for part in _parts(head):
        if not part.tag & 0xFFFF or part.tag in _OFFSETS:
            continue  # the length of a group, which is another now, and tables
        if part.compressed:
            if part.tag != _ICON:
                raise NotDecodableError("the data set holds other compressed data")
            continue
        if part.tag == _PHOTOMETRIC:
            out += encode([(part.tag, "CS", photometric)])
            continue
        if part.tag == _PLANAR and image.samples > 1:
            out += encode([(part.tag, "US", 0)])
            continue
        for at, size, where in head.layout.cuts:
            if part.start < at <= part.stop and at <= len(data):
                cuts.append((len(out) + at - part.start, size, where))
        out += data[part.start : part.stop]
    return bytes(out), cuts


def _parts(head: InstanceHead) -> Iterator[_Part]:
    """Yield the elements at the top, each up to the header of the next."""
    data = head.layout.elements
    cuts = {at: size for at, size, _ in head.layout.cuts if at <= len(data)}
    depth, tag, start, compressed = 0, 0, -1, False
    for event in read(data, CODING, cuts):
        if event.what in (What.CLOSE, What.END):
            depth -= 1
            continue
        if depth == 0:
            short = event.what is What.VALUE and FORMS[event.vr.encode()] == SHORT
            here = event.start - (8 if short else 12)
            if start >= 0:
                yield _Part(tag, start, here, compressed)
            tag, start, compressed = event.tag, here, False
        compressed = compressed or event.what is What.FRAGMENTS
        if event.what in (What.OPEN, What.ITEM):
            depth += 1
    if start >= 0:
        yield _Part(tag, start, len(data), compressed)
