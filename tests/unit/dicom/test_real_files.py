# SPDX-License-Identifier: Apache-2.0
"""Real files against pydicom: who they are, their JSON, their frames."""

import base64
import json
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom.encaps import generate_frames

from radkeep.dicom.bulk import locate
from radkeep.dicom.facts import Facts
from radkeep.dicom.frames import frame_spans
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.inflate import inflated
from radkeep.dicom.json_model import metadata
from radkeep.dicom.scanner import Scan, Scanner
from radkeep.domain.errors import NotFoundError, RadkeepError

# Files that name all four UIDs and a transfer syntax, but whose data set is not intact.
BROKEN = {
    "MR_truncated.dcm",  # half of the pixel data
    "rtplan_truncated.dcm",
    "SC_rgb_jpeg.dcm",  # says explicit VR, is implicit
    "no_meta_group_length.dcm",
}
# Where pydicom's answer is not taken for true.
PYDICOM_ERRS = {
    ("chrGB2312.dcm", "00100010"),  # leaves the escape sequences of ISO 2022 IR 58 in the name
    ("GH195.dcm", "00091105"),  # drops a DS that is no number; PS3.18 F.2.3 lets it be text
    ("badVR.dcm", "00280008"),  # the same for IS
    ("badVR.dcm", "300C0002"),  # drops a sequence because of a bad value in it
}


@dataclass(frozen=True)
class Real:
    name: str
    data: bytes
    scan: Scan
    head: InstanceHead
    expected: pydicom.Dataset


def scan(data: bytes, step: int = 1 << 20) -> Scan:
    scanner = Scanner(None)
    for at in range(0, len(data), step):
        scanner.feed(memoryview(data)[at : at + step])
    return scanner.finish()


def _named(expected: pydicom.Dataset) -> bool:
    keys = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    meta = getattr(expected, "file_meta", {})
    return all(expected.get(key) for key in keys) and bool(meta.get("TransferSyntaxUID"))


def _is_broken(path: Path) -> bool:
    return any(path.name.endswith(name) for name in BROKEN)


def _reals(paths: Sequence[Path]) -> Iterator[Real]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            try:
                expected = pydicom.dcmread(path, force=True)
            except Exception:  # noqa: BLE001 - what pydicom cannot read it cannot judge
                continue
            if _named(expected) and not _is_broken(path):
                data = path.read_bytes()
                found = scan(data)
                head = InstanceHead.of(found, digest=b"", received_length=len(data), origin={})
                yield Real(path.name, data, found, head, expected)


@pytest.fixture(scope="module")
def packaged() -> list[Path]:
    """Return the files that the pydicom package brings along."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return sorted(path for path in folder.rglob("*.dcm") if path.stat().st_size < 2 << 20)


@pytest.fixture(scope="module", params=["packaged", "corpus"])
def reals(request: pytest.FixtureRequest) -> list[Real]:
    """Return every intact file with what pydicom makes of it."""
    found = list(_reals(request.getfixturevalue(request.param)))
    assert len(found) > 40
    return found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def test_every_corpus_file_is_taken_or_cleanly_refused(corpus: Sequence[Path]) -> None:
    taken, messages = 0, list[str]()
    for path in corpus:
        try:
            scan(path.read_bytes())
            taken += 1
        except RadkeepError as error:
            messages.append(str(error))
    assert taken >= 184
    assert not [text for text in messages if re.search(r"\d{5}", text)]


def test_facts_are_those_of_pydicom(reals: list[Real]) -> None:
    for real in reals:
        facts, expected = real.scan.facts, real.expected
        assert facts.sop_class == expected.SOPClassUID, real.name
        assert facts.sop_instance == expected.SOPInstanceUID, real.name
        assert facts.study == expected.StudyInstanceUID, real.name
        assert facts.series == expected.SeriesInstanceUID, real.name
        assert facts.transfer_syntax == expected.file_meta.TransferSyntaxUID, real.name
        name = str(expected.get("PatientName") or "")
        if not any(real.name.endswith(err) and tag == "00100010" for err, tag in PYDICOM_ERRS):
            assert facts.text(0x00100010) == name, real.name
        assert facts.integer(0x00280010) == expected.get("Rows"), real.name


def test_the_head_says_the_same_facts_again(reals: list[Real]) -> None:
    for real in reals:
        head = InstanceHead.decode(real.head.encode())
        assert head == real.head
        assert Facts.from_head(head) == real.scan.facts, real.name


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_pieces_do_not_matter(reals: list[Real], step: int) -> None:
    for real in reals:
        if len(real.data) < step * 50_000:
            assert scan(real.data, step) == real.scan, real.name


def test_json_is_that_of_pydicom(reals: list[Real]) -> None:
    for real in reals:
        found = json.loads(metadata(real.head, "https://host/i"))
        try:
            expected = real.expected.to_json_dict()
        except ValueError:
            expected = real.expected.to_json_dict(suppress_invalid_tags=True)
        _compare(real, "", expected, found)


def _compare(real: Real, path: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
    for tag in sorted(set(expected) | set(found)):
        where = (real.name, path + tag)
        group_length, padding, charset = tag.endswith("0000"), tag == "FFFCFFFC", tag == "00080005"
        if (
            group_length
            or padding
            or charset
            or any(real.name.endswith(name) and tag == errs for name, errs in PYDICOM_ERRS)
        ):
            continue
        ours, theirs = found[tag], expected[tag]
        if ours["vr"] == "UN" and theirs["vr"] != "UN":
            assert int(tag[:4], 16) & 1, where  # pydicom knows some private elements
            continue
        assert ours["vr"] == theirs["vr"], where
        if "BulkDataURI" in ours:
            _compare_bulk(real, tag, ours, theirs)
        elif ours["vr"] == "SQ":
            items = ours.get("Value", [])
            for number, (one, other) in enumerate(zip(theirs["Value"], items, strict=True), 1):
                _compare(real, f"{path}{tag}/{number}/", one, other)
        else:
            assert _plain(ours.get("Value")) == _plain(theirs.get("Value")), where
            assert ours.get("InlineBinary") == theirs.get("InlineBinary"), where


def _compare_bulk(real: Real, tag: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    if tag == "7FE00010" or real.head.deflated:
        return  # frames have their own test
    path = ours["BulkDataURI"].removeprefix("https://host/i/bulkdata/")
    value = b"".join(real.data[start:stop] for start, stop in locate(real.head, path))
    assert value == base64.b64decode(theirs["InlineBinary"]), (real.name, path)


def _plain(values: list[Any] | None) -> list[Any]:
    """Return ``values`` without padding and emptiness, about which PS3.18 leaves a choice."""
    plain = []
    for value in values or []:
        if isinstance(value, dict):
            plain.append({key: part.strip() for key, part in value.items() if part} or None)
        else:
            plain.append((value.strip() or None) if isinstance(value, str) else value)
    return [] if plain == [None] else plain


def test_frames_are_those_of_pydicom(reals: list[Real]) -> None:
    checked = 0
    for real in reals:
        pixel = real.head.pixel
        if pixel is None or real.name.endswith("badVR.dcm"):
            continue
        source = real.data
        if real.head.deflated:
            packed = real.data[real.head.data_set_offset :]
            source = b"".join(inflated([packed], 0, pixel.offset + pixel.length))
        count = int(real.expected.get("NumberOfFrames") or 1)
        frames = [_frame(real.head, source, number) for number in range(1, count + 1)]
        assert frames == _expected_frames(real.expected, count), real.name
        with pytest.raises(NotFoundError):
            _frame(real.head, source, count + 1)
        checked += 1
    assert checked > 30


def _frame(head: InstanceHead, source: bytes, number: int) -> bytes:
    spans = frame_spans(head, number, lambda start, stop: source[start:stop])
    return b"".join(source[start:stop] for start, stop in spans)


def _expected_frames(expected: pydicom.Dataset, count: int) -> list[bytes]:
    tag = next(t for t in (0x7FE00008, 0x7FE00009, 0x7FE00010) if t in expected)
    value = expected[tag].value
    if expected[tag].is_undefined_length:
        tables = (expected.get("ExtendedOffsetTable"), expected.get("ExtendedOffsetTableLengths"))
        extended = tables if all(tables) else None
        return list(generate_frames(value, number_of_frames=count, extended_offsets=extended))
    bits = expected.Rows * expected.Columns * expected.SamplesPerPixel * expected.BitsAllocated
    if expected.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    return [value[n * bits // 8 : -(-(n + 1) * bits // 8)] for n in range(count)]
