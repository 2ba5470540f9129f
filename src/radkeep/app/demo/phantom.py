# SPDX-License-Identifier: Apache-2.0
"""A made-up CT of a made-up head: 64 slices to scroll through and reformat.

Invariant: every slice says PHANTOM where a patient's name would stand and in its own pixels, so
nobody can take it for a person.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from radkeep.dicom.encode import Element, encode
from radkeep.dicom.part10 import file_meta

SLICES: Final = 64
SIZE: Final = 256  # rows and columns
SPACING: Final = 0.9  # mm between pixels
THICKNESS: Final = 2.5  # mm between slices
_CT: Final = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
_STUDY: Final = "2.25.297531346801225709182037842180423590001"  # fixed: the demo loads it once
_SERIES: Final = f"{_STUDY}.1"
_FRAME_OF_REFERENCE: Final = f"{_STUDY}.2"
_INTERCEPT: Final = -1024  # HU of a stored 0
_AIR, _SCALP, _BONE, _BRAIN, _FLUID, _LESION = -1000, 40, 900, 35, 5, 70  # HU

# Center, half axes (both in parts of the half size), HU; later ones lie over earlier ones.
_ELLIPSOIDS: Final = (
    ((0.00, 0.00, 0.00), (0.78, 0.92, 0.95), _SCALP),
    ((0.00, 0.00, 0.00), (0.72, 0.86, 0.90), _BONE),
    ((0.00, 0.00, 0.00), (0.66, 0.80, 0.84), _BRAIN),
    ((-0.16, -0.05, 0.05), (0.10, 0.30, 0.30), _FLUID),
    ((0.16, -0.05, 0.05), (0.10, 0.30, 0.30), _FLUID),
    ((0.30, 0.35, 0.20), (0.12, 0.12, 0.18), _LESION),
)
_GLYPHS: Final = {  # five rows of three columns, as bits
    "P": (7, 5, 7, 4, 4),
    "H": (5, 5, 7, 5, 5),
    "A": (2, 5, 7, 5, 5),
    "N": (5, 7, 7, 7, 5),
    "T": (7, 2, 2, 2, 2),
    "O": (7, 5, 5, 5, 7),
    "M": (5, 7, 7, 5, 5),
}
_DOT: Final = 3  # pixels of one dot of a glyph


def slices() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each slice as a DICOM file."""
    volume = _volume()
    for number in range(1, SLICES + 1):
        instance = f"{_SERIES}.{number}"
        meta = file_meta(_CT, instance, _EXPLICIT_LITTLE)
        yield f"phantom-{number:02}.dcm", meta + _data_set(instance, number, volume[number - 1])


def _volume() -> npt.NDArray[np.uint16]:
    """Return stored values, slice by slice from the feet up."""
    plane = np.linspace(-1, 1, SIZE, dtype=np.float32)
    height = np.linspace(-0.8, 0.8, SLICES, dtype=np.float32)
    z, y, x = np.meshgrid(height, plane, plane, indexing="ij")
    units = np.full((SLICES, SIZE, SIZE), _AIR, dtype=np.int16)
    for (cx, cy, cz), (ax, ay, az), value in _ELLIPSOIDS:
        inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 <= 1
        units[inside] = value
    _write_label(units)
    return (units - _INTERCEPT).clip(0).astype("<u2")


def _write_label(units: npt.NDArray[np.int16]) -> None:
    left = 6
    for letter in "PHANTOM":
        for row, bits in enumerate(_GLYPHS[letter]):
            for column in range(3):
                if bits >> (2 - column) & 1:
                    top = 6 + row * _DOT
                    start = left + column * _DOT
                    units[:, top : top + _DOT, start : start + _DOT] = _BONE
        left += 4 * _DOT


def _data_set(instance: str, number: int, pixels: npt.NDArray[np.uint16]) -> bytes:
    half = SIZE * SPACING / 2
    elements: list[Element] = [
        (0x00080008, "CS", ["DERIVED", "SECONDARY", "AXIAL"]),
        (0x00080016, "UI", _CT),
        (0x00080018, "UI", instance),
        (0x00080020, "DA", "20260102"),
        (0x00080021, "DA", "20260102"),
        (0x00080030, "TM", "101500"),
        (0x00080050, "SH", "PHANTOM-1"),
        (0x00080060, "CS", "CT"),
        (0x00080070, "LO", "Radkeep"),
        (0x00080090, "PN", ""),
        (0x00081030, "LO", "PHANTOM head, no patient"),
        (0x0008103E, "LO", "PHANTOM axial 2.5 mm"),
        (0x00100010, "PN", "PHANTOM^NOT A PATIENT"),
        (0x00100020, "LO", "PHANTOM-1"),
        (0x00100030, "DA", ""),
        (0x00100040, "CS", "O"),
        (0x00180015, "CS", "HEAD"),
        (0x00180050, "DS", str(THICKNESS)),
        (0x00180060, "DS", "120"),
        (0x00185100, "CS", "HFS"),
        (0x0020000D, "UI", _STUDY),
        (0x0020000E, "UI", _SERIES),
        (0x00200010, "SH", "1"),
        (0x00200011, "IS", "1"),
        (0x00200013, "IS", str(number)),
        (0x00200032, "DS", [f"{-half:.2f}", f"{-half:.2f}", f"{(number - 1) * THICKNESS:.2f}"]),
        (0x00200037, "DS", ["1", "0", "0", "0", "1", "0"]),
        (0x00200052, "UI", _FRAME_OF_REFERENCE),
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", SIZE),
        (0x00280011, "US", SIZE),
        (0x00280030, "DS", [str(SPACING), str(SPACING)]),
        (0x00280100, "US", 16),
        (0x00280101, "US", 16),
        (0x00280102, "US", 15),
        (0x00280103, "US", 0),
        (0x00281050, "DS", "40"),
        (0x00281051, "DS", "120"),
        (0x00281052, "DS", str(_INTERCEPT)),
        (0x00281053, "DS", "1"),
        (0x7FE00010, "OW", pixels.tobytes()),
    ]
    return encode(elements)
