# SPDX-License-Identifier: Apache-2.0
"""The demo's real files: those that the installed pydicom package ships with its licence.

Invariant: nothing is downloaded, and no two files have the same SOP Instance UID.
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

_IMAGES: Final = (
    "CT_small.dcm",
    "MR_small.dcm",
    "examples_rgb_color.dcm",  # ultrasound, color
    "examples_palette.dcm",  # ultrasound, palette color
    "examples_overlay.dcm",
    "examples_ybr_color.dcm",  # ultrasound loop, compressed
    "examples_jpeg2k.dcm",
    "ExplVR_BigEnd.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",  # deflated
    "liver_1frame.dcm",  # segmentation
    "reportsi.dcm",  # structured report
    "rtdose_1frame.dcm",
    "rtplan.dcm",
    "waveform_ecg.dcm",
)
_NAMES: Final = (  # the same small picture under names of many scripts
    "chrArab.dcm",
    "chrFren.dcm",
    "chrGerm.dcm",
    "chrGreek.dcm",
    "chrH31.dcm",
    "chrHbrw.dcm",
    "chrI2.dcm",
    "chrRuss.dcm",
    "chrX1.dcm",
)


def packaged() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each sample file of the package."""
    folder = files("pydicom") / "data"
    for kind, names in (("test_files", _IMAGES), ("charset_files", _NAMES)):
        for name in names:
            yield name, (folder / kind / name).read_bytes()


def given(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file below ``folder``, for ``demo --samples``."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
