# SPDX-License-Identifier: Apache-2.0
"""The data dictionary (PS3.6), from ``data/elements.tsv``.

Invariant: every tag has a VR; what the standard does not know is UN (PS3.5 Section 6.2.2).
"""

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

PIXEL_DATA: Final = 0x7FE00010
FLOAT_PIXEL_DATA: Final = 0x7FE00008
DOUBLE_PIXEL_DATA: Final = 0x7FE00009
PIXEL_TAGS: Final = frozenset({PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA})

_REMEMBERED: Final = 4_096  # tags; a peer may name any
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{8}")

Entry = tuple[str, str, str]  # VR as printed ("US or SS"), VM, keyword


@cache
def _tables() -> tuple[dict[int, Entry], dict[str, Entry]]:
    exact: dict[int, Entry] = {}
    masks: dict[str, Entry] = {}
    text = files("radkeep.dicom").joinpath("data/elements.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        tag, vr, vm, keyword = line.split("\t")
        if "x" in tag:
            masks[tag] = (vr, vm, keyword)
        else:
            exact[int(tag, 16)] = (vr, vm, keyword)
    return exact, masks


def _entry(tag: int) -> Entry | None:
    exact, _ = _tables()
    return exact.get(tag) or _repeated(tag)


@lru_cache(maxsize=4096)
def _repeated(tag: int) -> Entry | None:
    """Look ``tag`` up among the repeating groups (50xx, 60xx) and elements (PS3.5 Section 7.6)."""
    if tag >> 16 & 1:
        return None  # private
    _, masks = _tables()
    text = f"{tag:08X}"
    for mask, entry in masks.items():
        if all(want in ("x", have) for want, have in zip(mask, text, strict=True)):
            return entry
    return None


def printed_vr(tag: int) -> str:
    """Return the VR as PS3.6 prints it: alternatives too, such as ``US or SS``.

    Private elements are UN, private creators LO, group lengths UL (PS3.5 Sections 7.8.1, 7.2).
    """
    entry = _entry(tag)
    if entry is not None:
        return entry[0]
    low = tag & 0xFFFF
    if low == 0:
        return "UL"
    if tag >> 16 & 1 and 0x10 <= low <= 0xFF:  # noqa: PLR2004 - PS3.5 Section 7.8.1
        return "LO"
    return "UN"


@lru_cache(_REMEMBERED)
def vr_of(tag: int) -> str:
    """Return one VR for ``tag``: where PS3.6 prints alternatives, the one that is always safe."""
    return _FIRST.get(printed := printed_vr(tag), printed)


_FIRST: Final = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}


def keyword_of(tag: int) -> str:
    """Return the keyword of ``tag``, "" when the standard has none."""
    entry = _entry(tag)
    return entry[2] if entry else ""


def single(tag: int) -> bool:
    """Tell whether the attribute has at most one value (VM 1)."""
    entry = _entry(tag)
    return entry is not None and entry[1] == "1"


@cache
def _keywords() -> dict[str, int]:
    exact, _ = _tables()
    return {keyword: tag for tag, (_, _, keyword) in exact.items() if keyword}


def tag_of(keyword: str) -> int | None:
    """Return the tag of a keyword or of eight hexadecimal digits, None for neither."""
    found = _keywords().get(keyword)
    if found is not None:
        return found
    return int(keyword, 16) if _HEXADECIMAL.fullmatch(keyword) else None


@cache
def sequence_tags() -> frozenset[int]:
    """Return the tags whose VR is SQ: those that are sequences in implicit VR."""
    exact, _ = _tables()
    return frozenset(tag for tag, (vr, _, _) in exact.items() if vr == "SQ")
