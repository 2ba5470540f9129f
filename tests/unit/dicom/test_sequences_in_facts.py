# SPDX-License-Identifier: Apache-2.0
"""Sequences that can be searched: the same facts from every encoding and from the head."""

import hashlib
import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radkeep.dicom.facts import Facts
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.matching import matches
from radkeep.dicom.query import Level, Match
from radkeep.dicom.scanner import Scanner
from radkeep.dicom.walker import MAX_SEQUENCE

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
REQUESTS, STEP, PROCEDURE = 0x00400275, 0x00400009, 0x00401001


def made(*, undefined: bool = False, extra: bytes = b"") -> Dataset:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 100"
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    items = []
    for name in ("Größe", "S2"):
        code = Dataset()
        code.CodeValue = "T-1"
        item = Dataset()
        item.ScheduledProcedureStepID = name
        item.ScheduledProtocolCodeSequence = [code]
        items.append(item)
    if extra:
        items[0].add_new(0x00091010, "OB", extra)
    one.RequestAttributesSequence = items
    if undefined:
        one["RequestAttributesSequence"].is_undefined_length = True
        items[1].is_undefined_length_sequence_item = True
    one.ImageComments = "after it"
    return one


def scanned(one: Dataset, syntax: str, step: int = 1 << 20) -> tuple[Facts, Facts]:
    """Return the facts of a scan, and of its head."""
    out = io.BytesIO()
    pydicom.dcmwrite(out, one, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG)
    raw = out.getvalue()
    scanner = Scanner(syntax)
    for at in range(0, len(raw), step):
        scanner.feed(memoryview(raw[at : at + step]))
    scan = scanner.finish()
    head = InstanceHead.of(
        scan, digest=hashlib.sha256(raw).digest(), received_length=len(raw), origin={}
    )
    return scan.facts, Facts.from_head(InstanceHead.decode(head.encode()))


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_every_encoding_says_the_same(syntax: str, undefined: bool, step: int) -> None:  # noqa: FBT001
    expected = scanned(made(), EXPLICIT)[0].json(Level.SERIES)
    assert b'"S2"' in expected
    assert "Größe".encode() in expected
    assert b'"T-1"' in expected
    for facts in scanned(made(undefined=undefined), syntax, step):
        assert facts.json(Level.SERIES) == expected


@pytest.mark.parametrize("size", [MAX_SEQUENCE, 70_000])
def test_what_is_too_large_is_not_kept(size: int) -> None:
    for facts in scanned(made(extra=bytes(size)), EXPLICIT):
        assert b"00400275" not in facts.json(Level.SERIES)


@given(st.binary(max_size=100))
def test_any_items_give_json(items: bytes) -> None:
    facts, _ = scanned(made(), EXPLICIT)
    broken = Facts.of({**facts.raw, REQUESTS: items}, EXPLICIT)
    assert broken.json(Level.SERIES).startswith(b"{")
    assert broken.values(REQUESTS) == ()


def test_keys_of_a_sequence_ask_for_one_item() -> None:
    def item(step: str, procedure: str) -> dict[str, object]:
        return {
            "00400009": {"vr": "SH", "Value": [step]},
            "00401001": {"vr": "SH", "Value": [procedure]},
        }

    entity = {"00400275": {"vr": "SQ", "Value": [item("S1", "R1"), item("S2", "R2")]}}

    def asked(step: str, procedure: str) -> list[Match]:
        return [
            Match.parse((REQUESTS, STEP), step),
            Match.parse((REQUESTS, PROCEDURE), procedure),
        ]

    assert matches(asked("S1", "R1"), entity)
    assert matches(asked("S2", "R*"), entity)
    assert matches(asked("", ""), entity)
    assert matches(asked("", ""), {})
    assert not matches(asked("S1", "R2"), entity)
    assert not matches(asked("S1", ""), {})
