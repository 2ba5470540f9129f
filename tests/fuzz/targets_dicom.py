# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets for data sets, query keys, text and multipart bodies.

Invariant tested: any bytes give a value or one of our errors, the same however they come in
pieces; what was scanned can be used in every way the server uses it; a key matches or does not,
in time that grows with its length and not faster.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.data import get_testdata_file
from tests.hostile import test_scanner_any_bytes as scanner

from radkeep.dicom.charsets import charset
from radkeep.dicom.dictionary import vr_of
from radkeep.dicom.encode import encode
from radkeep.dicom.identifiers import Tags, answer, keys
from radkeep.dicom.matching import matches
from radkeep.dicom.query import Match
from radkeep.dimse.models import MODELS, Identifier
from radkeep.domain.errors import InvalidRequestError, RadkeepError
from radkeep.web.kit.media_types import parse_accept, parse_media_type
from radkeep.web.kit.multipart import PartReader

SYNTAXES: Final[Sequence[str | None]] = (
    None,
    scanner.IMPLICIT,
    scanner.EXPLICIT,
    scanner.DEFLATED,
    scanner.BIG,
    scanner.JPEG,
    "1.2.3.4",
)
TAGS: Final = (
    0x00080016, 0x00080018, 0x00080020, 0x00080030, 0x0008002A, 0x00080050, 0x00080060, 0x00080061,
    0x00081030, 0x00100010, 0x00100020, 0x0020000D, 0x00200013, 0x00280010, 0x00181050, 0x7FE00010,
)  # fmt: skip
_NAMES: Final = (
    "CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "test-SR.dcm",
    "nested_priv_SQ.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm", "rtplan.dcm", "priv_SQ.dcm",
    "MR-SIEMENS-DICOM-WithOverlays.dcm", "SC_rgb_rle_2frame.dcm",
)  # fmt: skip
_LONGEST_SEED: Final = 4_000  # bytes: the head of a file; what follows is mostly pixels


def check_data_set(data: bytes) -> None:
    """Scan one data set in one transfer syntax, and use what was found."""
    if data:
        scanner.check(SYNTAXES[data[0] % len(SYNTAXES)], data[1:])


def check_generated(data: bytes) -> None:
    """Let hypothesis build an almost right data set from the bytes."""
    scanner.test_almost_data_sets.hypothesis.fuzz_one_input(data)


def check_key(data: bytes) -> None:
    """Parse one query key and match it against a value of the same attribute."""
    if not data:
        return
    tag = TAGS[data[0] % len(TAGS)]
    key, _, value = data[1:].decode("utf-8", "replace").partition("\n")
    try:
        match = Match.parse((tag,), key)
    except RadkeepError:
        return
    name: dict[str, Any] = {f"{tag:08X}": {"Value": [{"Alphabetic": value}]}}
    text: dict[str, Any] = {f"{tag:08X}": {"Value": [value, None, 1.5]}}
    for entity in (name, text, {}):
        assert matches([match], entity) in (True, False)


def check_identifier(data: bytes) -> None:
    """Read the identifier of a C-FIND, C-MOVE or C-GET request, and write an answer's."""
    if len(data) < 2:
        return
    sop_class = sorted(MODELS)[data[0] % len(MODELS)]
    syntax = SYNTAXES[1 + data[1] % 2] or ""
    try:
        asked = Identifier.read(
            data[2:], syntax=syntax, sop_class=sop_class, relational=bool(data[1] & 2)
        )
    except RadkeepError:
        return
    for path, text in asked.keys.items():
        with suppress(RadkeepError):
            Match.parse(path, text or "")
    row = {
        f"{path[0]:08X}": {"vr": vr_of(path[0]), "Value": [text]}
        for path, text in asked.keys.items()
        if len(path) == 1 and text and vr_of(path[0]) in ("LO", "SH", "CS", "DA", "UI")
    }
    tags = list({path[0] for path in asked.keys if path[0] & 0xFFFF} - {0x00080005})
    spoken = asked.keys.get((0x00080005,)) or ""
    wanted: dict[int, Tags] = {tag: {} for tag in tags}
    for explicit in (True, False):
        content = answer(row, wanted, [], explicit=explicit, charset=spoken)
        read = keys(content, scanner.EXPLICIT if explicit else scanner.IMPLICIT)
        assert {(tag,) for tag in tags} <= read.keys()


def check_text(data: bytes) -> None:
    """Decode a value in the character sets that the first bytes name."""
    names, _, raw = data.partition(b"\n")
    for name in (True, False):
        assert isinstance(charset(names[:64]).decode(raw, name=name), str)


class _Sink:
    """Keeps what came, and holds the reader to its order."""

    def __init__(self) -> None:
        self.parts: list[tuple[Mapping[str, str], bytearray]] = []
        self.inside = False

    def begin(self, headers: Mapping[str, str]) -> None:
        assert not self.inside
        self.inside = True
        self.parts.append((dict(headers), bytearray()))

    def data(self, data: memoryview) -> None:
        assert self.inside
        self.parts[-1][1].extend(data)

    def end(self) -> None:
        assert self.inside
        self.inside = False


def check_multipart(data: bytes) -> None:
    """Read one body whole and in pieces."""
    if not data:
        return
    step, body = data[0] % 61 + 1, data[1:]
    whole = _parts([body])
    assert whole == _parts([body[at : at + step] for at in range(0, len(body), step)])


def _parts(pieces: Sequence[bytes]) -> object:
    sink = _Sink()
    reader = PartReader(b"frontier", sink)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.finish()
    except InvalidRequestError:
        return "invalid"
    return sink.parts


def check_media_type(data: bytes) -> None:
    """Parse a Content-Type and an Accept header."""
    text = data.decode("latin-1")
    for parse in (parse_media_type, parse_accept):
        with suppress(InvalidRequestError):
            parse(text)


# --- seeds ---


def seeds_of_data_sets(corpus: Sequence[Path]) -> Iterator[bytes]:
    """Yield the heads of real files, whole and as the data set alone."""
    ours = [Path(str(get_testdata_file(name, download=False))) for name in _NAMES]
    for path in (*ours, *corpus):
        file = path.read_bytes()
        yield b"\0" + file[:_LONGEST_SEED]
        meta = dcmread(path, stop_before_pixels=True, specific_tags=[], force=True).file_meta
        syntax = str(meta.get("TransferSyntaxUID", ""))
        start = 144 + meta.get("FileMetaInformationGroupLength", 0)
        kind = SYNTAXES.index(syntax) if syntax in SYNTAXES else 5
        yield bytes((kind,)) + file[start : start + _LONGEST_SEED]


def seeds_of_identifiers(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield a query, a retrieval and one with a sequence."""
    level = (0x00080052, "CS", "STUDY")
    query = [level, (0x00100010, "PN", "A*"), (0x00200010, "SH", ""), (0x0020000D, "UI", "1.2")]
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    inside = encode([(0x00400001, "AE", "CT1"), (0x00400002, "DA", "20200101-")])
    sequence = struct.pack("<HH2sHI", 0x40, 0x100, b"SQ", 0, 0xFFFFFFFF) + item + inside + ends
    for model in range(len(MODELS)):
        yield bytes((model, 1)) + encode(query)
        yield bytes((model, 3)) + encode([(0x00080005, "CS", "ISO_IR 100"), *query]) + sequence


def seeds_of_keys(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield a key and a value of each kind."""
    for tag, key, value in (
        (1, "1.2.3\\1.2.4", "1.2.3"),
        (2, "20200101-20201231", "20200615"),
        (3, "10:30-", "103000.5"),
        (4, "20200101120000.5+0100-", "2020"),
        (6, "C?", "CT"),
        (9, "m\u00fcl*^*", "M\u00dcLLER^Jo"),
        (10, "*a*a*a*b", "a" * 60),
        (12, "17", "17"),
    ):
        yield bytes((tag,)) + f"{key}\n{value}".encode()


def seeds_of_text(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield names in several character sets (PS3.5 Annexes H to K)."""
    yield b"ISO 2022 IR 6\\ISO 2022 IR 87\nYamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    yield b"\\ISO 2022 IR 149\nHong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
    yield b"ISO_IR 192\nM\xc3\xbcller^Jos\xc3\xa9"
    yield b"GB18030\nWang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"
    yield b"ISO_IR 13\\ISO 2022 IR 87\n\xd4\xcf\xc0\xde^\xc0\xdb\xb3"


def seeds_of_multipart(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield bodies of none, one and two parts."""
    head = b"--frontier\r\nContent-Type: application/dicom\r\nContent-Location: x\r\n\r\n"
    yield b"\x07" + head + b"data\r\n--frontier--\r\n"
    yield b"\x03preamble\r\n" + head + b"\r\n--front\r\n" + head + b"\r\n--frontier--epilogue"
    yield b"\x01--frontier--"


def seeds_of_media_types(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield headers as clients send them."""
    yield b'multipart/related; type="application/dicom"; transfer-syntax=*; boundary=a b'
    yield b'multipart/related; type="image/jpeg"; q=0.5, application/dicom+json, */*;q=0.1'
