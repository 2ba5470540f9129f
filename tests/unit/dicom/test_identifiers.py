# SPDX-License-Identifier: Apache-2.0
"""Identifiers: any bytes give keys or UndecodableError; answers are read back by pydicom."""

import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dicom.encode import encode
from radkeep.dicom.identifiers import MAX_KEYS, answer, keys
from radkeep.domain.errors import UndecodableError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
NAME, ROWS, STEP, ATTRIBUTES = 0x00100010, 0x00280010, 0x00400009, 0x00400275


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_keys_in_both_encodings(syntax: str) -> None:
    data = encode(
        [
            (0x00080005, "CS", "ISO_IR 192"),
            (0x00080020, "DA", ""),
            (0x00080061, "CS", ["CT", "MR"]),
            (NAME, "PN", "Müller^Zoë*"),
            (ROWS, "US", 32),  # the byte of a blank: no empty key
            (ATTRIBUTES, "SQ", [[(STEP, "SH", "S1")]]),
        ],
        explicit=syntax == EXPLICIT,
    )
    assert keys(data, syntax) == {
        (0x00080005,): "ISO_IR 192",
        (0x00080020,): "",
        (0x00080061,): "CT\\MR",
        (NAME,): "Müller^Zoë*",
        (ROWS,): "32",
        (ATTRIBUTES,): "",
        (ATTRIBUTES, STEP): "S1",
    }


def test_bytes_cannot_be_a_key() -> None:
    data = encode([(0x00090010, "LO", "X"), (0x00091001, "OB", b"\1\2")])
    assert keys(data, EXPLICIT) == {(0x00090010,): "X", (0x00091001,): None}


def test_too_many_keys() -> None:
    data = encode([(0x00100000 + n, "LO", "") for n in range(1, MAX_KEYS + 3)])
    with pytest.raises(UndecodableError):
        keys(data, EXPLICIT)


@given(st.binary(max_size=200), st.sampled_from([IMPLICIT, EXPLICIT]))
def test_any_bytes(data: bytes, syntax: str) -> None:
    try:
        found = keys(data, syntax)
    except UndecodableError:
        return
    assert len(found) <= MAX_KEYS


@pytest.mark.parametrize("explicit", [True, False])
def test_an_answer_holds_what_was_asked_for(*, explicit: bool) -> None:
    row = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada", "Phonetic": "やまだ"}]},
        "00101020": {"vr": "DS", "Value": [1.8250000000000002]},
        "00280010": {"vr": "US", "Value": [512]},
        "00080061": {"vr": "CS", "Value": ["CT", None, "MR"]},
        "00200011": {"vr": "IS", "Value": [7]},
    }
    tags = {tag: {} for tag in (NAME, 0x00101020, ROWS, 0x00080061, 0x00200011, 0x00080050)}
    made = answer(row, tags, [(0x00080052, "CS", "STUDY")], explicit=explicit)
    read = pydicom.filereader.read_dataset(
        io.BytesIO(made), is_implicit_VR=not explicit, is_little_endian=True
    )
    assert str(read.PatientName) == "Yamada==やまだ"
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert float(read.PatientSize) == 1.825
    assert read.Rows == 512
    assert list(read.ModalitiesInStudy) == ["CT", "", "MR"]
    assert read.SeriesNumber == 7
    assert read.AccessionNumber == ""
    assert b"ISO_IR" not in answer({}, tags, [], explicit=explicit)


@pytest.mark.parametrize(
    ("spoken", "name", "said"),
    [
        ("ISO_IR 100", "Müller^Zoë", "ISO_IR 100"),
        ("ISO_IR 144", "Фщюы^Яшж", "ISO_IR 144"),
        ("ISO_IR 100", "Фщюы^Яшж", "ISO_IR 192"),
        ("GB18030", "王^小东", "GB18030"),
        ("\\ISO 2022 IR 87", "山田^太郎", "ISO_IR 192"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ISO_IR 192"),
        ("NONSENSE", "Müller", "ISO_IR 192"),
        ("", "Müller", "ISO_IR 192"),
        ("ISO_IR 100", "Muller", None),
    ],
)
@pytest.mark.parametrize("explicit", [True, False])
def test_an_answer_is_in_the_charset_that_fits(
    spoken: str, name: str, said: str | None, *, explicit: bool
) -> None:
    row = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}
    made = answer(row, {NAME: {}}, [], explicit=explicit, charset=spoken)
    read = pydicom.filereader.read_dataset(
        io.BytesIO(made), is_implicit_VR=not explicit, is_little_endian=True
    )
    read.decode()
    assert read.get("SpecificCharacterSet") == said
    assert str(read.PatientName) == name


@pytest.mark.parametrize("explicit", [True, False])
def test_what_cannot_be_written_does_not_break_an_answer(*, explicit: bool) -> None:
    row = {
        "00080060": {"vr": "CS", "Value": ["C\u00e9"]},  # senders write what they like
        "00081030": {"vr": "LO", "Value": ["\u00e9" * 40_000]},  # 80,000 bytes in UTF-8
        "00100020": {"vr": "LO", "Value": ["P1"]},
    }
    found = answer(row, {0x00080060: {}, 0x00081030: {}, 0x00100020: {}}, [], explicit=explicit)
    syntax = "1.2.840.10008.1.2.1" if explicit else "1.2.840.10008.1.2"
    assert keys(found, syntax) == {(0x00080060,): "C?", (0x00081030,): "", (0x00100020,): "P1"}


@pytest.mark.parametrize(("values", "raw"), [([], b""), (["00100020", None], b"\x10\0\x20\0")])
def test_an_answer_may_hold_tags(values: list[str | None], raw: bytes) -> None:
    row = {"00205000": {"vr": "AT", "Value": values}}
    made = answer(row, {0x00205000: {}}, [], explicit=True)
    assert made == b"\x20\0\0\x50AT" + len(raw).to_bytes(2, "little") + raw
