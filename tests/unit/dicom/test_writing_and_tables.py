# SPDX-License-Identifier: Apache-2.0
"""What we write pydicom reads; what the tables say is what pydicom says."""

from collections.abc import Iterator
from io import BytesIO

import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR

from radkeep.dicom.charsets import DEFAULT
from radkeep.dicom.classes import is_storage, storage_classes
from radkeep.dicom.dictionary import keyword_of, printed_vr, single, tag_of, vr_of
from radkeep.dicom.encode import encode
from radkeep.dicom.equality import same_elements
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.json_values import element
from radkeep.dicom.part10 import IMPLEMENTATION_CLASS_UID, file_meta
from radkeep.dicom.status import store_status
from radkeep.dicom.syntaxes import all_syntaxes, syntax
from radkeep.domain.errors import IntegrityError, RadkeepError, UidMismatchError
from radkeep.domain.uid import Uid

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def test_a_written_file_is_read_by_pydicom() -> None:
    item = [(0x00080100, "SH", "113014"), (0x00080102, "SH", "DCM")]
    data = encode(
        [
            (0x00100010, "PN", "Müller^Jörg"),
            (0x00080005, "CS", "ISO_IR 192"),
            (0x00280010, "US", 7),
            (0x00280009, "AT", 0x00181063),
            (0x00280030, "DS", ["0.5", "0.25"]),
            (0x00181315, "CS", "N"),
            (0x00082218, "SQ", [item, []]),
            (0x00189073, "FD", 1.5),
            (0x00420011, "OB", b"abc"),
        ]
    )
    file = file_meta(CT, "1.2.3", EXPLICIT, "STORESCU") + data
    assert file[:128] == bytes(128)
    found = pydicom.dcmread(BytesIO(file))
    assert found.file_meta.MediaStorageSOPClassUID == CT
    assert found.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert found.file_meta.SourceApplicationEntityTitle == "STORESCU"
    assert found.PatientName == "Müller^Jörg"
    assert found.Rows == 7
    assert found.FrameIncrementPointer == 0x00181063
    assert list(found.PixelSpacing) == [0.5, 0.25]
    assert found.AnatomicRegionSequence[0].CodeValue == "113014"
    assert len(found.AnatomicRegionSequence) == 2
    assert found.EncapsulatedDocument == b"abc\0"
    Uid.parse(IMPLEMENTATION_CLASS_UID)


def test_a_value_too_long_for_its_vr_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode([(0x00081030, "LO", "x" * 70_000)])


def test_the_dictionary_is_that_of_the_standard() -> None:
    for tag, (vr, vm, _, _, keyword) in DicomDictionary.items():
        if vr != "NONE":
            assert printed_vr(tag) == vr
            assert keyword_of(tag) == keyword
            assert single(tag) == (vm == "1")
            assert not keyword or tag_of(keyword) == tag
    assert printed_vr(0x60023000) == dictionary_VR(0x60023000)
    assert [vr_of(tag) for tag in (0x00091001, 0x00090010, 0x00090000, 0x00090001)] == [
        "UN",
        "LO",
        "UL",
        "UN",
    ]
    assert tag_of("0020000d") == 0x0020000D
    assert tag_of("NoSuchKeyword") is None
    assert printed_vr(0x00280106) == "US or SS"
    assert vr_of(0x00280106) == "US"


def test_syntaxes() -> None:
    known = {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}
    missing = known - set(all_syntaxes())
    assert all(uid.startswith(("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")) for uid in missing)
    assert not syntax(IMPLICIT).explicit
    assert syntax("1.2.840.10008.1.2.2").big
    assert syntax("1.2.840.10008.1.2.1.99").deflated
    assert not syntax(EXPLICIT).encapsulated
    assert syntax("1.2.840.10008.1.2.4.110").name == "JPEG XL Lossless"
    unknown = syntax("1.2.3")
    assert (unknown.explicit, unknown.encapsulated, unknown.known) == (True, True, False)


def test_storage_classes() -> None:
    assert is_storage(CT)
    assert not is_storage("1.2.840.10008.1.1")
    assert not is_storage("1.2.840.10008.1.20.1")
    assert not is_storage("1.2.840.10008.5.1.4.1.1.200.1")  # belongs to no patient
    assert not is_storage("")
    assert not is_storage(
        "1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"
    )  # shuts servers down
    assert len(storage_classes()) > 180


def test_classes_that_no_table_knows_are_stored_too() -> None:
    assert is_storage("1.2.840.10008.5.1.4.1.1.66.7")  # of a later edition
    assert is_storage("1.3.12.2.1107.5.9.1")  # private


def _errors(base: type[RadkeepError]) -> Iterator[type[RadkeepError]]:
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


def test_every_error_has_a_word_for_dimse_and_stow() -> None:
    for error in _errors(RadkeepError):
        status = store_status(error("x"))
        known = status in {0x0110, 0x0112, 0x0122, 0x0124} or status >> 8 in {0xA7, 0xA9, 0xC0}
        assert known, error
    assert store_status(UidMismatchError("x")) == 0xA900


def test_a_head_that_is_none_is_refused() -> None:
    for encoded in (b"", b"\x80", b"junk", b"\xc1"):
        with pytest.raises(IntegrityError):
            InstanceHead.decode(encoded)


def test_equality_is_about_content() -> None:
    one = encode([(0x00081030, "LO", b"ab"), (0x00080060, "CS", b"C"), (0x00280010, "US", 5)])
    padded = encode([(0x00081030, "LO", b"ab"), (0x00080060, "CS", b"C\0"), (0x00280010, "US", 5)])
    with_lengths = encode([(0x00080000, "UL", 20)]) + one + encode([(0xFFFCFFFC, "OB", b"\0\0")])
    assert same_elements(one, EXPLICIT, with_lengths, EXPLICIT)
    assert not same_elements(one, EXPLICIT, padded, EXPLICIT)
    assert not same_elements(one, EXPLICIT, one[:-1], EXPLICIT)
    assert not same_elements(one, EXPLICIT, one, IMPLICIT)
    assert not same_elements(b"", EXPLICIT, one, EXPLICIT)
    assert same_elements(b"", EXPLICIT, b"", IMPLICIT)


@pytest.mark.parametrize(
    ("vr", "raw", "value"),
    [
        ("IS", b"12 \\ 7", [12, 7]),
        ("IS", b"1A", ["1A"]),
        ("IS", b"1_000", ["1_000"]),
        ("DS", b"1.50\\-2e3", [1.5, -2000.0]),
        ("DS", b"nan", ["nan"]),
        ("DS", b"1e999", ["1e999"]),
        ("FL", b"\0\0\x80\x7f", ["Infinity"]),
        ("FL", b"\0\0\x80\xff", ["-Infinity"]),
        ("FD", b"\xff" * 8, ["NaN"]),
        ("US", b"\1\0\2", [1]),
        ("AT", b"\x18\0\x63\x10", ["00181063"]),
        ("LO", b"a\\\\b ", ["a", None, "b"]),
        ("LT", b" a\\b ", [" a\\b"]),
        ("PN", b"A^B=C", [{"Alphabetic": "A^B", "Ideographic": "C"}]),
        ("PN", b"==C", [{"Phonetic": "C"}]),
        ("CS", b"  ", None),
    ],
)
def test_values_in_json(vr: str, raw: bytes, value: list[object] | None) -> None:
    found = element(vr, raw, DEFAULT, big=False)
    assert found == ({"vr": vr, "Value": value} if value else {"vr": vr})


def test_big_endian_words_turn_in_json() -> None:
    assert element("OW", b"\1\2\3", DEFAULT, big=True)["InlineBinary"] == "AgED"
    assert element("US", b"\1\2", DEFAULT, big=True)["Value"] == [0x0102]
