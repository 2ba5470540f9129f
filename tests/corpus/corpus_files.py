# SPDX-License-Identifier: Apache-2.0
"""The real files as tests see them: their bytes, their UIDs as pydicom reads them, in batches."""

import io
import logging
import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

BATCHES = 11  # as often as the most frequent SOP Instance UID comes
PREAMBLE = 132  # bytes, with DICM
# Files with four UIDs and a transfer syntax whose data set is not intact: docs/refusals.md.
BROKEN = frozenset(
    {
        "compressed/pydicom__SC_rgb_jpeg.dcm",
        "images/pydicom__MR_truncated.dcm",
        "odd/fo-dicom__GH1339.dcm",
        "odd/pydicom-data__emri_small_jpeg_2k_lossless_too_short.dcm",
        "odd/pydicom__rtplan_truncated.dcm",
    }
)
# Intact, as DCMTK finds too; pydicom fails at a sequence in UN within big endian.
UNREADABLE = "odd/fo-dicom__GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNCOMPRESSED = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", BIG_ENDIAN, "1.2.840.10008.1.2.1.99"}
)
_LONG = frozenset((b"OB", b"UN", b"UT", b"OW", b"SQ"))


@dataclass(frozen=True)
class Real:
    """One file."""

    name: str  # folder/file
    path: Path
    content: bytes
    data_set: bytes  # without preamble and file meta
    transfer_syntax: str
    sop_class: str
    sop_instance: str
    study: str
    series: str

    @property
    def storable(self) -> bool:
        """Tell whether it has all that storing needs."""
        named = all((self.sop_class, self.sop_instance, self.study, self.series))
        return named and bool(self.transfer_syntax) and self.name not in BROKEN

    @property
    def address(self) -> str:
        """The instance below the DICOMweb root."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.sop_instance}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from complaining about files that are odd on purpose."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def split(content: bytes) -> tuple[str, bytes]:
    """Return the transfer syntax that a file names, or "", and its data set's bytes."""
    position = PREAMBLE if content[128:PREAMBLE] == b"DICM" else 0
    syntax = ""
    while content[position : position + 2] == b"\x02\x00":
        (element,) = struct.unpack_from("<H", content, position + 2)
        if content[position + 4 : position + 6] in _LONG:
            (length,) = struct.unpack_from("<I", content, position + 8)
            position += 12
        else:
            (length,) = struct.unpack_from("<H", content, position + 6)
            position += 8
        if element == 0x0010:
            syntax = content[position : position + length].rstrip(b"\0 ").decode("latin-1")
        position += length
    return syntax, content[position:]


def read_corpus(paths: Sequence[Path]) -> Sequence[Real]:
    """Return every file; what pydicom cannot read has no UIDs."""
    return [_read(path) for path in paths]


def _read(path: Path) -> Real:
    content = path.read_bytes()
    syntax, data_set = split(content)
    try:
        with quiet():
            found = pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=True)
            keys = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
            uids = [str(found.get(key) or "") for key in keys]
    except Exception:  # noqa: BLE001 - files that are odd on purpose
        uids = [""] * 4
    name = f"{path.parent.name}/{path.name}"
    return Real(name, path, content, data_set, syntax, *uids)


def batches(reals: Sequence[Real]) -> Sequence[Sequence[Real]]:
    """Deal ``reals`` out so that no batch holds a SOP Instance UID twice."""
    seen: Counter[str] = Counter()
    dealt: list[list[Real]] = [[] for _ in range(BATCHES)]
    for real in reals:
        dealt[seen[real.sop_instance]].append(real)
        seen[real.sop_instance] += 1
    return dealt


def parsed(content: bytes) -> pydicom.Dataset:
    """Return a DICOM file as pydicom reads it."""
    found = pydicom.dcmread(io.BytesIO(content), force=True)
    if split(content)[0] == BIG_ENDIAN:
        tags = list(found.keys())  # a data set yields elements, not keys
        for tag in [tag for tag in tags if found.get_item(tag).VR == "OW"]:
            found[tag].value = _swapped(found[tag].value)  # pydicom leaves words as they were
    return found


def _swapped(words: bytes) -> bytes:
    swapped = bytearray(len(words))
    swapped[::2], swapped[1::2] = words[1::2], words[::2]
    return bytes(swapped)


def differences(one: pydicom.Dataset, other: pydicom.Dataset, path: str = "") -> list[str]:
    """Return where two data sets differ, element by element.

    Group lengths and trailing padding say nothing of the content; the standard lets a sender
    drop or renew them.
    """
    found: list[str] = []
    tags = sorted({*one.keys(), *other.keys()})
    for tag in tags:
        where = f"{path}{tag}"
        if tag.element == 0 or tag == 0xFFFCFFFC:
            continue
        if tag not in one or tag not in other:
            found.append(f"{where} only in {'the second' if tag not in one else 'the first'}")
            continue
        if _raw(one, tag) == _raw(other, tag) is not None:
            continue  # equal as it was on disk; who knows the VR of a private element is a matter
            # of dictionaries
        mine, theirs = _value(one, tag), _value(other, tag)
        if _is_sequence(mine) and _is_sequence(theirs):
            if len(mine) != len(theirs):
                found.append(f"{where}: {len(mine)} and {len(theirs)} items")
                continue
            for number, (item, twin) in enumerate(zip(mine, theirs, strict=True)):
                found += differences(item, twin, f"{where}/{number}/")
        elif _plain(mine) != _plain(theirs):
            found.append(f"{where}: {str(mine)[:40]!r} and {str(theirs)[:40]!r}")
    return found


def _raw(dataset: pydicom.Dataset, tag: BaseTag) -> bytes | None:
    """Return the bytes of a value that nobody looked at yet."""
    item = dataset.get_item(tag)
    return item.value.rstrip(b" \0") if isinstance(item, RawDataElement) and item.value else None


def _value(dataset: pydicom.Dataset, tag: BaseTag) -> object:
    try:
        return dataset[tag].value
    except Exception:  # noqa: BLE001 - a value that pydicom cannot convert is compared as bytes
        return dataset.get_item(tag).value


def _is_sequence(value: object) -> bool:
    return isinstance(value, pydicom.Sequence)


def _plain(value: object) -> object:
    """Return ``value`` without the padding to even length, which is no part of it."""
    if isinstance(value, MultiValue | list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, PersonName):
        value = str(value)
    if isinstance(value, str):
        return value.strip(" \0")
    if isinstance(value, bytes):
        return value if len(value) % 2 == 0 else value + b"\0"
    return None if value == "" else value
