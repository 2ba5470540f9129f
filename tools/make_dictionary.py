# SPDX-License-Identifier: Apache-2.0
"""Writes the data files of ``radkeep.dicom`` from pydicom's copy of PS3.6.

Invariant: the files hold facts of the standard only, sorted, so that a new pydicom shows as a
readable difference. Run after an update of pydicom: ``python tools/make_dictionary.py``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary

DATA: Final = Path(__file__).resolve().parents[1] / "src" / "radkeep" / "dicom" / "data"

# Transfer syntaxes of PS3.6 Table A-1 that pydicom does not list yet.
NEWER: Final = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
NATIVE: Final = {
    "1.2.840.10008.1.2": "implicit",
    "1.2.840.10008.1.20": "implicit",
    "1.2.840.10008.1.2.1": "explicit",
    "1.2.840.10008.1.2.1.99": "explicit deflated",
    "1.2.840.10008.1.2.2": "explicit big",
    "1.2.840.10008.1.2.4.94": "explicit",
    "1.2.840.10008.1.2.4.95": "explicit deflated",
    "1.2.840.10008.1.2.4.204": "explicit",
    "1.2.840.10008.1.2.4.205": "explicit deflated",
}
NOT_FILES: Final = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")  # MIME, XML, real-time video

# Classes with "Storage" in the name whose objects belong to no patient's study, or no objects.
NO_STUDY: Final = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory
        "1.2.840.10008.1.20.1",  # Storage Commitment
        "1.2.840.10008.1.20.2",
        "1.2.840.10008.5.1.4.1.1.200.1",  # Defined Procedure Protocols and approvals of them
        "1.2.840.10008.5.1.4.1.1.200.3",
        "1.2.840.10008.5.1.4.1.1.200.7",
        "1.2.840.10008.5.1.4.1.1.201.1",  # Inventory
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol
        "1.2.840.10008.5.1.4.39.1",  # Color Palette
        "1.2.840.10008.5.1.4.43.1",  # Implant Templates
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
    }
)


def _write(name: str, rows: Iterable[tuple[str, ...]]) -> None:
    lines = ["\t".join(row) + "\n" for row in rows]
    (DATA / name).write_text("".join(lines), encoding="utf-8")
    print(f"{name}: {len(lines)} rows")


def _elements() -> Iterable[tuple[str, ...]]:
    for tag, (vr, vm, _name, _retired, keyword) in sorted(DicomDictionary.items()):
        if vr != "NONE":
            yield f"{tag:08X}", vr, vm, keyword
    for mask, (vr, vm, _name, _retired, keyword) in sorted(RepeatersDictionary.items()):
        yield mask.upper().replace("X", "x"), vr, vm, keyword


def _syntaxes() -> Iterable[tuple[str, ...]]:
    names = {uid: row[0] for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}
    for uid, name in sorted((names | NEWER).items()):
        if not uid.startswith(NOT_FILES):
            yield uid, NATIVE.get(uid, "explicit encapsulated"), name


def _classes() -> Iterable[tuple[str, ...]]:
    for uid, (name, kind, _info, retired, _keyword) in sorted(UID_dictionary.items()):
        if kind == "SOP Class" and "Storage" in name and uid not in NO_STUDY:
            yield uid, name.removesuffix(" SOP Class"), "retired" if retired else ""


def main() -> None:
    """Write all data files."""
    DATA.mkdir(exist_ok=True)
    _write("elements.tsv", _elements())
    _write("syntaxes.tsv", _syntaxes())
    _write("storage-classes.tsv", _classes())


if __name__ == "__main__":
    main()
