# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a scan or our error, and the same one however they come in pieces."""

import json
import struct
import zlib
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from radkeep.dicom.bulk import locate
from radkeep.dicom.facts import Facts
from radkeep.dicom.frames import frame_spans
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.identifiers import answer, keys
from radkeep.dicom.json_model import metadata
from radkeep.dicom.query import Level
from radkeep.dicom.scanner import Scan, Scanner
from radkeep.domain.errors import NotFoundError, RadkeepError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"
SYNTAXES = st.sampled_from([None, IMPLICIT, EXPLICIT, DEFLATED, BIG, JPEG, "1.2.3.4"])
LENGTHS = st.one_of(st.integers(0, 40), st.sampled_from([0xFFFF, 0x10001, 0xFFFFFFFE, 0xFFFFFFFF]))
VRS = st.sampled_from(
    [b"UI", b"PN", b"CS", b"SQ", b"UN", b"OB", b"OW", b"US", b"UT", b"XX", b"\0\0"]
)
TAGS = st.sampled_from(
    [
        0x00080005,
        0x00080016,
        0x00080018,
        0x00081140,
        0x00100010,
        0x0020000D,
        0x0020000E,
        0x00280008,
        0x00280103,
        0x00280106,
        0x00281201,
        0x00091001,
        0x5400_0100,
        0x7FE00001,
        0x7FE00010,
        0xFFFCFFFC,
        0xFFFEE000,
        0xFFFEE00D,
        0xFFFEE0DD,
    ]
)


@st.composite
def _element(draw: st.DrawFn, *, explicit: bool) -> bytes:
    tag, length = draw(TAGS), draw(LENGTHS)
    group, low = tag >> 16, tag & 0xFFFF
    value = draw(st.binary(max_size=length if length < 50 else 20))
    if length < 50 and draw(st.integers(0, 9)):
        length = len(value)
    if not explicit or group == 0xFFFE:
        return struct.pack("<HHI", group, low, length) + value
    vr = draw(VRS)
    if vr in (b"SQ", b"UN", b"OB", b"OW", b"UT"):
        return struct.pack("<HH2sHI", group, low, vr, 0, length) + value
    return struct.pack("<HH2sH", group, low, vr, length & 0xFFFF) + value


def _uids(*, explicit: bool) -> bytes:
    out = b""
    for tag, uid in (
        (0x00080016, b"1.2"),
        (0x00080018, b"1.3"),
        (0x0020000D, b"1"),
        (0x0020000E, b"2"),
    ):
        value = uid + b"\0" * (len(uid) % 2)
        form = struct.pack("<2sH", b"UI", len(value)) if explicit else struct.pack("<I", len(value))
        out += struct.pack("<HH", tag >> 16, tag & 0xFFFF) + form + value
    return out


@st.composite
def _data_sets(draw: st.DrawFn) -> tuple[str | None, bytes]:
    syntax = draw(SYNTAXES)
    explicit = syntax != IMPLICIT
    parts = draw(st.lists(_element(explicit=explicit), max_size=12))
    data = (_uids(explicit=explicit) if draw(st.booleans()) else b"") + b"".join(parts)
    if syntax == DEFLATED:
        data = zlib.compress(data, wbits=-15)
    if syntax is None:
        meta = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
        data = draw(st.sampled_from([b"", bytes(128) + b"DICM", b"DICM"])) + meta + data
    return syntax, data


def _scan(syntax: str | None, data: bytes, step: int) -> Scan | tuple[str, str]:
    try:
        scanner = Scanner(syntax)
        for at in range(0, len(data), step):
            scanner.feed(memoryview(data)[at : at + step])
        return scanner.finish()
    except RadkeepError as error:
        return error.code, str(error)


def _use(scan: Scan, data: bytes) -> None:
    """Do with the head whatever the server does later."""
    head = InstanceHead.of(scan, digest=b"", received_length=len(data), origin={})
    head = InstanceHead.decode(head.encode())
    assert Facts.from_head(head) == scan.facts
    assert metadata(head, "https://host/x").startswith(b"{")
    for level in Level:
        row = json.loads(scan.facts.json(level))
        tags = [int(tag, 16) for tag in row if tag != "00080005"]  # which nobody can ask for
        for explicit in (True, False):
            found = keys(
                answer(row, {tag: {} for tag in tags}, (), explicit=explicit),
                EXPLICIT if explicit else IMPLICIT,
            )
            assert {(tag,) for tag in tags} <= found.keys()
    for number in (1, 2):
        try:
            spans = frame_spans(head, number, lambda start, stop: data[start:stop])
        except NotFoundError:
            continue
        if not head.deflated:
            assert all(0 <= start <= stop <= len(data) for start, stop in spans)
    with suppress(NotFoundError):
        locate(head, "00281201")


def check(syntax: str | None, data: bytes) -> None:
    whole = _scan(syntax, data, 1 << 20)
    for step in (1, 7):
        pieces = _scan(syntax, data, step)
        if isinstance(whole, Scan) or isinstance(pieces, Scan):
            assert pieces == whole
    if isinstance(whole, Scan):
        _use(whole, data)


@settings(max_examples=300, deadline=None)
@given(SYNTAXES, st.binary(max_size=400))
@example(EXPLICIT, b"")
@example(None, bytes(132))
def test_any_bytes(syntax: str | None, data: bytes) -> None:
    check(syntax, data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_data_sets())
def test_almost_data_sets(case: tuple[str | None, bytes]) -> None:
    check(*case)


FILES = [
    Path(str(get_testdata_file(name, download=False))).read_bytes()
    for name in ("test-SR.dcm", "JPEG2000.dcm", "nested_priv_SQ.dcm", "ExplVR_BigEnd.dcm")
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6),
    st.integers(0, 9),
)
def test_damaged_files(file: bytes, damages: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(file[:6000])
    for place, value in damages:
        damaged[min(132 + place, len(damaged) - 1)] = value
    check(None, bytes(damaged[: len(damaged) - cut]))
