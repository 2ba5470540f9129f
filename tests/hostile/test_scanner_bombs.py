# SPDX-License-Identifier: Apache-2.0
"""Data sets built to hurt: refused within a second, in bounded memory."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence

import pytest

from radkeep.dicom.encode import encode
from radkeep.dicom.scanner import Scanner
from radkeep.domain.errors import UndecodableError
from radkeep.domain.limits import MAX_NESTING

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"
UIDS = encode(
    [
        (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
        (0x00080018, "UI", "1.2.3"),
        (0x0020000D, "UI", "1.2.4"),
        (0x0020000E, "UI", "1.2.5"),
    ]
)
UNDEFINED = 0xFFFFFFFF
DEPTH = 5000
MIB = 1 << 20


def _open(depth: int, head: Callable[[int], bytes], order: str = "<") -> bytes:
    """Return ``depth`` sequences of undefined length, one inside the other."""
    item = struct.pack(f"{order}HHI", 0xFFFE, 0xE000, UNDEFINED)
    return (head(UNDEFINED) + item) * depth


def _closed(depth: int, head: Callable[[int], bytes], order: str = "<") -> bytes:
    """Return ``depth`` sequences of defined length, one inside the other."""
    length, levels = 0, []
    for _ in range(depth):
        item = struct.pack(f"{order}HHI", 0xFFFE, 0xE000, length)
        levels.append(head(length + 8) + item)
        length += len(levels[-1])
    return b"".join(reversed(levels))


def _implicit(length: int) -> bytes:
    return struct.pack("<HHI", 0x0040, 0xA730, length)


def _explicit(length: int) -> bytes:
    return struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, length)


def _big(length: int) -> bytes:
    return struct.pack(">HH2sHI", 0x0040, 0xA730, b"SQ", 0, length)


def _scan(syntax: str, pieces: Sequence[bytes]) -> None:
    scanner = Scanner(syntax)
    for piece in pieces:
        for at in range(0, len(piece), 256 << 10):
            scanner.feed(memoryview(piece)[at : at + (256 << 10)])
    scanner.finish()


def _feed(syntax: str, pieces: Sequence[bytes]) -> str:
    with pytest.raises(UndecodableError) as caught:
        _scan(syntax, pieces)
    return str(caught.value)


def _refused(syntax: str, *pieces: bytes, limit: int = 64 * MIB, seconds: float = 1) -> str:
    """Return why the data set was refused, after a look at time and memory, each in its own run."""
    began = time.process_time()
    reason = _feed(syntax, pieces)
    took = time.process_time() - began
    assert took < seconds
    if took < seconds / 8:  # tracing costs several times the work itself
        tracemalloc.start()
        try:
            _feed(syntax, pieces)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < limit
    return reason


@pytest.mark.parametrize(
    ("syntax", "sequences"),
    [
        (EXPLICIT, _open(DEPTH, _explicit)),
        (EXPLICIT, _closed(DEPTH, _explicit)),
        (IMPLICIT, _open(DEPTH, _implicit)),
        (IMPLICIT, _closed(DEPTH, _implicit)),
        (BIG, _open(DEPTH, _big, ">")),
        (BIG, _closed(DEPTH, _big, ">")),
        (
            EXPLICIT,
            struct.pack("<HH2sHI", 9, 0x1001, b"UN", 0, UNDEFINED)
            + b"\xfe\xff\0\xe0"
            + b"\xff" * 4
            + _open(DEPTH, _implicit),
        ),
    ],
    ids=["explicit-open", "explicit", "implicit-open", "implicit", "big-open", "big", "in-un"],
)
def test_deep_sequences_are_refused(syntax: str, sequences: bytes) -> None:
    assert "nested too deep" in _refused(syntax, sequences)


def test_sequences_up_to_the_limit_are_taken() -> None:
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    scanner = Scanner(EXPLICIT)
    scanner.feed(memoryview(UIDS + _open(MAX_NESTING, _explicit) + end * MAX_NESTING))
    assert scanner.finish().facts.study == "1.2.4"


def test_deflate_bomb_is_refused_early() -> None:
    bomb = zlib.compressobj(9, wbits=-15)
    head = UIDS + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 1 << 31)
    packed = bomb.compress(head)
    packed += b"".join(bomb.compress(bytes(MIB)) for _ in range(100)) + bomb.flush()
    assert len(packed) < MIB
    assert "inflates beyond" in _refused(DEFLATED, packed, limit=8 * MIB)


def test_deflate_bomb_in_the_head_is_refused() -> None:
    values = b"".join(
        struct.pack("<HH2sHI", group, 0x0010, b"OB", 0, 60_000) + bytes(60_000)
        for group in range(0x0021, 0x1021, 2)
    )
    packed = zlib.compress(UIDS + values, 9, wbits=-15)
    assert "too much" in _refused(DEFLATED, packed, limit=32 * MIB)


def test_head_without_end_is_refused() -> None:
    value = struct.pack("<HH2sHI", 0x0009, 0, b"OB", 0, 60_000) + bytes(60_000)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED) + value * 10
    pieces = (item + struct.pack("<HHI", 0xFFFE, 0xE00D, 0) for _ in range(40))
    assert "too much" in _refused(EXPLICIT, UIDS + _explicit(UNDEFINED), *pieces, limit=64 * MIB)


def test_millions_of_empty_elements_are_refused() -> None:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    assert "too many elements" in _refused(
        EXPLICIT, UIDS + _explicit(UNDEFINED), item * 1_100_000, seconds=3
    )


def test_millions_of_fragments_are_refused() -> None:
    head = UIDS + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, UNDEFINED)
    fragment = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    assert "too many elements" in _refused(JPEG, head, fragment * 1_100_000, seconds=3)


def test_claims_of_gigabytes_cost_nothing() -> None:
    value = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFFE)
    assert "middle of an element" in _refused(EXPLICIT, UIDS + value + bytes(100), limit=MIB)
    large = struct.pack("<HH2sHI", 0x0021, 0x0010, b"OB", 0, 0xFFFFFFFE)
    assert "middle of an element" in _refused(EXPLICIT, UIDS + large + bytes(MIB), limit=MIB)


def test_frames_beyond_reason_are_numbers_only() -> None:
    pixels = encode(
        [
            (0x00280002, "US", 65535),
            (0x00280008, "IS", "2147483647"),
            (0x00280010, "US", 65535),
            (0x00280011, "US", 65535),
            (0x00280100, "US", 65535),
            (0x7FE00010, "OW", b"\0\0"),
        ]
    )
    scanner = Scanner(EXPLICIT)
    scanner.feed(memoryview(UIDS + pixels))
    pixel = scanner.finish().layout.pixel
    assert pixel is not None
    assert pixel.frame_bits == 65535**4
    assert pixel.frames == 2147483647


def test_a_file_without_end_of_meta_is_refused() -> None:
    meta = b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0x0102, b"OB", 0, 0xFFFFFFF0)
    scanner = Scanner(None)
    with pytest.raises(UndecodableError):
        scanner.feed(memoryview(meta + bytes(MIB)))


def test_a_zip_is_not_a_dicom_file() -> None:
    scanner = Scanner(None)
    with pytest.raises(UndecodableError, match="not a DICOM file"):
        scanner.feed(memoryview(b"PK\x03\x04" + bytes(1000)))
