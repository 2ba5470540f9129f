# SPDX-License-Identifier: Apache-2.0
import struct
import zlib

import pytest

from radkeep.dicom.encode import Element, encode
from radkeep.dicom.part10 import file_meta
from radkeep.dicom.scanner import Scan, Scanner
from radkeep.domain.errors import InvalidUidError, UndecodableError

EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
BASE: dict[int, Element] = {
    0x00080016: (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
    0x00080018: (0x00080018, "UI", "1.2.3"),
    0x00100020: (0x00100020, "LO", "P 1 "),
    0x0020000D: (0x0020000D, "UI", "1.2.4"),
    0x0020000E: (0x0020000E, "UI", "1.2.5"),
}


def data_set(*more: Element, without: int = 0) -> bytes:
    return encode([value for tag, value in BASE.items() if tag != without] + list(more))


def scan(data: bytes, syntax: str | None = EXPLICIT) -> Scan:
    scanner = Scanner(syntax)
    scanner.feed(memoryview(data))
    return scanner.finish()


def test_identity_is_known_before_the_pixel_data_came() -> None:
    data = data_set((0x00280010, "US", 1), (0x7FE00010, "OW", bytes(100_000)))
    scanner = Scanner(EXPLICIT)
    scanner.feed(memoryview(data)[:60])
    assert scanner.identity is None
    scanner.feed(memoryview(data)[60:400])
    assert scanner.identity is not None
    assert scanner.identity.study == "1.2.4"
    assert scanner.identity.patient_id == "P 1"
    scanner.feed(memoryview(data)[400:])
    pixel = scanner.finish().layout.pixel
    assert pixel is not None
    assert (pixel.offset, pixel.length) == (len(data) - 100_000, 100_000)


def test_identity_of_a_data_set_that_ends_at_once() -> None:
    scanner = Scanner(EXPLICIT)
    scanner.feed(memoryview(data_set()))
    assert scanner.identity is None
    scanner.finish()
    assert scanner.identity is not None


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x00080016, "SOP Class UID"),
        (0x00080018, "SOP Instance UID"),
        (0x0020000D, "Study Instance UID"),
        (0x0020000E, "Series Instance UID"),
    ],
)
def test_a_missing_or_empty_uid_is_named(tag: int, name: str) -> None:
    with pytest.raises(UndecodableError, match=name):
        scan(data_set(without=tag))
    with pytest.raises(UndecodableError, match=name):
        scan(data_set((tag, "UI", b""), (0x00280010, "US", 1), without=tag))


@pytest.mark.parametrize(
    "uid", ["..", "1..2", "1.02", "1.2 ", " 1.2", "1.2.", "a", "1" * 65, "../../x", "1.2\\1.3", "²"]
)
def test_an_illegal_uid_is_refused_by_name_and_not_repeated(uid: str) -> None:
    for tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E):
        with pytest.raises(
            InvalidUidError, match=r"^the [\w ]+ \([\dA-F,]{9}\) is not a valid UID$"
        ):
            scan(data_set((tag, "UI", uid.encode("latin_1")), without=tag))


def test_repeated_and_unordered_attributes_are_refused() -> None:
    twice = data_set() + encode([(0x0020000D, "UI", "1.2.9")])
    with pytest.raises(UndecodableError, match="out of order or repeated"):
        scan(twice)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_truncated_data_set_is_refused(cut: int) -> None:
    data = data_set((0x7FE00010, "OW", bytes(40)))
    with pytest.raises(UndecodableError):
        scan(data[:-cut])


def test_large_values_are_cut_out_of_the_head() -> None:
    large = bytes(range(256)) * 400
    data = data_set((0x00420011, "OB", large), (0x7FE00010, "OW", b"1234"), (0xFFFAFFFA, "SQ", []))
    found = scan(data)
    ((place, length, where),) = found.layout.cuts
    assert length == len(large)
    assert data[where : where + length] == large
    assert len(found.layout.elements) == place
    assert found.layout.tail == data[-12:]


@pytest.mark.parametrize(
    "preamble", [bytes(128) + b"DICM", b"MZ" + bytes(126) + b"DICM", b"DICM", b""]
)
def test_files_with_and_without_preamble(preamble: bytes) -> None:
    meta = file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", EXPLICIT)[132:]
    file = preamble + meta + data_set()
    found = scan(file, None)
    assert found.layout.data_set_offset == len(preamble) + len(meta)
    assert found.layout.data_set_length == len(data_set())
    assert found.facts.transfer_syntax == EXPLICIT


def test_a_file_without_meta_or_syntax_is_refused() -> None:
    with pytest.raises(UndecodableError, match="not a DICOM file"):
        scan(data_set((0x7FE00010, "OW", bytes(100))), None)
    with pytest.raises(UndecodableError, match="no transfer syntax"):
        scan(bytes(128) + b"DICM" + encode([(0x00020001, "OB", b"\0\1")]) + data_set(), None)
    with pytest.raises(UndecodableError):
        scan(b"", None)


def test_wrong_group_length_of_the_meta_is_harmless() -> None:
    meta = bytearray(file_meta("1.2", "1.2.3", EXPLICIT))
    meta[140:144] = struct.pack("<I", 9999)
    assert scan(bytes(meta) + data_set(), None).facts.study == "1.2.4"


def test_deflated_data_sets_count_positions_inflated() -> None:
    plain = data_set((0x7FE00010, "OW", b"1234"))
    found = scan(zlib.compress(plain, wbits=-15) + b"\0", DEFLATED)
    assert found.layout.pixel is not None
    assert plain[found.layout.pixel.offset :] == b"1234"
    with pytest.raises(UndecodableError, match="ends early"):
        scan(zlib.compress(plain, wbits=-15)[:-4], DEFLATED)
    with pytest.raises(UndecodableError, match="cannot be inflated"):
        scan(b"\xff" * 100, DEFLATED)


def test_an_unknown_transfer_syntax_is_explicit_and_encapsulated() -> None:
    assert scan(data_set(), "1.2.3.4.5").facts.study == "1.2.4"
    with pytest.raises(InvalidUidError):
        Scanner("not a syntax")


def test_items_may_not_be_longer_than_their_sequence() -> None:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 100) + bytes(100)
    bad = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 20) + item
    with pytest.raises(UndecodableError, match="longer than the sequence"):
        scan(data_set() + bad)
