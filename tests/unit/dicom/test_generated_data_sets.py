# SPDX-License-Identifier: Apache-2.0
"""Well-formed data sets of every encoding: always taken, whole or in pieces, and equal in all."""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.dicom.bulk import locate
from radkeep.dicom.equality import same_elements
from radkeep.dicom.facts import Facts
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.json_model import metadata
from radkeep.dicom.scanner import Scan, Scanner

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
UNDEFINED = 0xFFFFFFFF
LONG = {"OB", "OW", "UT", "UN", "SQ"}

# tag -> VR of the dictionary, so that implicit VR means the same
TEXT = {
    0x00080060: "CS",
    0x00081030: "LO",
    0x00100010: "PN",
    0x00104000: "LT",
    0x00280008: "IS",
    0x00280030: "DS",
    0x0040A160: "UT",
}
NUMBERS = {
    0x00280010: ("US", "H"),
    0x00720064: ("IS", ""),
    0x00189073: ("FD", "d"),
    0x00720078: ("UL", "I"),
}
BYTES = {0x00420011: "OB", 0x00281201: "OW", 0x00091001: "UN"}
SEQUENCES = (0x00081140, 0x0040A730, 0x00400275, 0x52009229)


@dataclass(frozen=True)
class Node:
    tag: int
    vr: str
    value: Any  # str, list of numbers, bytes or list of items
    undefined: bool = False


def _text_nodes() -> st.SearchStrategy[Node]:
    chars = st.text(alphabet="ABCxyz 0123^", max_size=12)
    return st.builds(
        lambda tag, value: Node(tag, TEXT[tag], value), st.sampled_from(sorted(TEXT)), chars
    )


def _number_nodes() -> st.SearchStrategy[Node]:
    return st.one_of(
        st.lists(st.integers(0, 65535), max_size=4).map(lambda v: Node(0x00280010, "US", v)),
        st.lists(st.integers(0, 1 << 31), max_size=4).map(lambda v: Node(0x00720078, "UL", v)),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(
            lambda v: Node(0x00189073, "FD", v)
        ),
    )


def _bytes_nodes() -> st.SearchStrategy[Node]:
    words = st.one_of(
        st.binary(max_size=20), st.one_of(st.integers(1000, 2000), st.just(70_000)).map(bytes)
    )
    even = words.map(lambda value: value + bytes(len(value) % 2))
    return st.builds(
        lambda tag, value: Node(tag, BYTES[tag], value), st.sampled_from(sorted(BYTES)), even
    )


def _unique(nodes: list[Node]) -> list[Node]:
    return sorted({node.tag: node for node in nodes}.values(), key=lambda node: node.tag)


PLAIN = st.one_of(_text_nodes(), _number_nodes(), _bytes_nodes())


def _sequence(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    items = st.lists(st.lists(children, max_size=3).map(_unique), max_size=3)
    return st.builds(
        lambda tag, value, undefined: Node(tag, "SQ", value, undefined),
        st.sampled_from(SEQUENCES),
        items,
        st.booleans(),
    )


NODES = st.recursive(PLAIN, _sequence, max_leaves=12)
DATA_SETS = st.lists(NODES, max_size=8).map(_unique)
CODES = {"US": "H", "UL": "I", "FD": "d"}
WIDTHS = {"OW": 2}


def _raw(node: Node, order: str) -> bytes:
    if node.vr in CODES:
        return struct.pack(f"{order}{len(node.value)}{CODES[node.vr]}", *node.value)
    if isinstance(node.value, str):
        raw = node.value.encode()
        return raw + b" " * (len(raw) % 2)
    raw = node.value
    if node.vr == "OW" and order == ">":
        return b"".join(raw[at : at + 2][::-1] for at in range(0, len(raw), 2))
    return bytes(raw)


def write(nodes: list[Node], syntax: str, *, flip: bool = False) -> bytes:
    """Encode without the encoder under test; ``flip`` swaps defined and undefined lengths."""
    if syntax == DEFLATED:
        return zlib.compress(write(nodes, EXPLICIT, flip=flip), wbits=-15)
    order = ">" if syntax == BIG else "<"
    out = b""
    for node in nodes:
        undefined = node.undefined != flip
        if node.vr == "SQ":
            value = b""
            for item in node.value:
                inner = write(item, syntax, flip=flip)
                length = UNDEFINED if undefined else len(inner)
                value += struct.pack(f"{order}HHI", 0xFFFE, 0xE000, length) + inner
                value += struct.pack(f"{order}HHI", 0xFFFE, 0xE00D, 0) if undefined else b""
            length = UNDEFINED if undefined else len(value)
            value += struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0) if undefined else b""
        else:
            value = _raw(node, order)
            length = len(value)
        out += struct.pack(f"{order}HH", node.tag >> 16, node.tag & 0xFFFF)
        if syntax == IMPLICIT:
            out += struct.pack("<I", length)
        elif node.vr in LONG:
            out += node.vr.encode() + struct.pack(f"{order}HI", 0, length)
        else:
            out += node.vr.encode() + struct.pack(f"{order}H", length)
        out += value
    return out


UIDS = [
    Node(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7\0"),
    Node(0x00080018, "UI", "1.2.3\0"),
    Node(0x0020000D, "UI", "1.2.4\0"),
    Node(0x0020000E, "UI", "1.2.5\0"),
]


def scan(syntax: str, data: bytes, step: int = 1 << 20) -> Scan:
    scanner = Scanner(syntax)
    for at in range(0, len(data), step):
        scanner.feed(memoryview(data)[at : at + step])
    return scanner.finish()


def _head(found: Scan, data: bytes) -> InstanceHead:
    return InstanceHead.of(found, digest=b"", received_length=len(data), origin={})


@settings(max_examples=120, deadline=None)
@given(DATA_SETS, st.sampled_from(SYNTAXES), st.integers(1, 5000))
def test_pieces_do_not_matter(nodes: list[Node], syntax: str, step: int) -> None:
    data = write(_unique(nodes + UIDS), syntax)
    whole = scan(syntax, data)
    assert scan(syntax, data, step) == whole
    assert Facts.from_head(_head(whole, data)) == whole.facts
    assert len(whole.layout.elements) < 66_000 * 8


@settings(max_examples=120, deadline=None)
@given(DATA_SETS, st.sampled_from(SYNTAXES), st.sampled_from(SYNTAXES))
def test_encodings_do_not_matter(nodes: list[Node], first: str, second: str) -> None:
    nodes = _unique(nodes + UIDS)
    one, other = write(nodes, first), write(nodes, second, flip=True)
    assert same_elements(one, first, other, second)
    facts, others = scan(first, one).facts, scan(second, other).facts
    assert facts.text(0x00100010) == others.text(0x00100010)
    assert facts.integer(0x00280010) == others.integer(0x00280010)


@settings(max_examples=120, deadline=None)
@given(DATA_SETS, st.sampled_from(SYNTAXES), st.sampled_from(SYNTAXES))
def test_one_changed_value_matters(nodes: list[Node], first: str, second: str) -> None:
    changed = [*UIDS[:-1], Node(0x0020000E, "UI", "1.2.6\0")]
    one, other = write(_unique(nodes + UIDS), first), write(_unique(nodes + changed), second)
    assert not same_elements(one, first, other, second)
    assert not same_elements(one, first, write(_unique(nodes + UIDS)[:-1], second), second)


@settings(max_examples=120, deadline=None)
@given(DATA_SETS, st.sampled_from((IMPLICIT, EXPLICIT, BIG)))
def test_json_holds_every_element(nodes: list[Node], syntax: str) -> None:
    nodes = _unique(nodes + UIDS)
    data = write(nodes, syntax)
    head = _head(scan(syntax, data), data)
    _compare(nodes, json.loads(metadata(head, "https://host/i")), head, data, syntax)


def _compare(
    nodes: list[Node], found: dict[str, Any], head: InstanceHead, data: bytes, syntax: str
) -> None:
    assert set(found) == {f"{node.tag:08X}" for node in nodes}
    for node in nodes:
        element = found[f"{node.tag:08X}"]
        assert element["vr"] == node.vr
        if node.vr == "SQ":
            assert len(element.get("Value", [])) == len(node.value)
            for item, inner in zip(node.value, element.get("Value", []), strict=True):
                _compare(item, inner, head, data, syntax)
        elif "BulkDataURI" in element:
            path = element["BulkDataURI"].removeprefix("https://host/i/bulkdata/")
            raw = b"".join(data[start:stop] for start, stop in locate(head, path))
            assert raw == _raw(node, ">" if syntax == BIG else "<")
            assert len(raw) > 1024
        elif node.vr in CODES:
            assert element.get("Value", []) == node.value
        elif isinstance(node.value, bytes):
            assert ("InlineBinary" in element) == bool(node.value)
