# SPDX-License-Identifier: Apache-2.0
"""Hostile peers of a real server: raw association PDUs, data sets built to hurt, memory watched."""

import os
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus_house import Store

from radkeep.dicom.encode import encode
from radkeep.dicom.part10 import file_meta

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
ROOT = "1.2.826.0.1.3680043.8.498.66"
DEPTH = 5_000
MIB = 1 << 20
UNDEFINED = 0xFFFFFFFF


def data_set(instance: str = f"{ROOT}.1", **changed: str) -> bytes:
    """Return a small data set in explicit little endian; ``changed`` by name of the UID."""
    uids = {"sop_class": CT, "sop_instance": instance, "study": f"{ROOT}.2", "series": f"{ROOT}.3"}
    tags = {0x00080016: "sop_class", 0x00080018: "sop_instance"}
    tags |= {0x0020000D: "study", 0x0020000E: "series"}
    uids |= changed
    elements = b""
    for tag, name in tags.items():
        value = uids[name].encode()
        value += b"\0" * (len(value) % 2)
        if name not in changed or changed[name] != "missing":
            elements += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, b"UI", len(value)) + value
        if tag == 0x00080018:
            elements += encode([(0x00100010, "PN", "Hostile^Peer"), (0x00100020, "LO", "66")])
    return elements


def deep(*, defined: bool) -> bytes:
    """Return 5,000 sequences, each inside the other."""
    if not defined:
        level = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, UNDEFINED)
        return data_set() + (level + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)) * DEPTH
    levels, length = list[bytes](), 0
    for _ in range(DEPTH):
        head = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, length + 8)
        levels.append(head + struct.pack("<HHI", 0xFFFE, 0xE000, length))
        length += len(levels[-1])
    return data_set() + b"".join(reversed(levels))


def bomb() -> bytes:
    """Return less than 1 MiB that inflates to 400 MiB of pixels."""
    packer = zlib.compressobj(9, wbits=-15)
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 400 * MIB)
    packed = packer.compress(data_set() + head)
    return packed + b"".join(packer.compress(bytes(MIB)) for _ in range(400)) + packer.flush()


def as_file(content: bytes, syntax: str = EXPLICIT) -> bytes:
    """Return a data set as a DICOM file."""
    return file_meta(CT, f"{ROOT}.1", syntax) + content


def request(calling: str, called: str = "RADKEEP") -> bytes:
    """Return an A-ASSOCIATE-RQ for verification and CT."""
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, abstract in ((1, "1.2.840.10008.1.1"), (3, CT)):
        names = _item(0x30, abstract.encode()) + _item(0x40, EXPLICIT.encode())
        body += _item(0x20, bytes((number, 0, 0, 0)) + names)
    user = _item(0x51, struct.pack(">I", 16_384)) + _item(0x52, b"1.2.3")
    body += _item(0x50, user)
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def answer(peer: socket.socket) -> bytes:
    """Return the next PDU whole, or b"" at the end of the connection."""
    head = _exactly(peer, 6)
    return head + _exactly(peer, int.from_bytes(head[2:], "big")) if head else b""


def _exactly(peer: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        piece = peer.recv(length - len(found))
        if not piece:
            return b""
        found += piece
    return found


@contextmanager
def associated(store: Store, calling: str) -> Iterator[socket.socket]:
    """Yield a connection with an accepted association."""
    with socket.create_connection(store.dimse, 10) as peer:
        peer.sendall(request(calling))
        assert answer(peer)[0] == 2
        yield peer


def processes(store: Store) -> dict[str, int]:
    """Return the server's processes by name."""
    found = {"supervisor": store.server.process.pid}
    for pid in store.server.pids()[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"radkeep.sandbox" in words:
            found["zygote"] = pid
        else:
            found[words[words.index(b"radkeep.app.process") + 1].decode()] = pid
    return found


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def unharmed(store: Store, *, seconds: float = 1.0, grow: int = 64 * MIB) -> Iterator[None]:
    """Check that the block is short, that memory stays bounded and that no process went."""
    before = processes(store)
    sizes = {name: resident(pid) for name, pid in before.items()}
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    assert took < seconds
    assert processes(store) == before
    grown = {name: resident(pid) - sizes[name] for name, pid in before.items()}
    assert max(grown.values()) < grow, grown


def nothing_stored(store: Store) -> bool:
    """Tell whether no query finds an instance of these peers."""
    found = store.get("/instances?PatientID=66", "*/*")
    return found.status_code in {200, 204} and not (found.content and found.json())


def until_event(store: Store, deadline: float = 5.0, **wanted: str) -> dict[str, object]:
    """Return the audit event whose fields or details are as ``wanted``, once it is there."""
    end = time.monotonic() + deadline
    while True:
        for event in store.events():
            fields = event | event.get("detail", {})
            if all(fields.get(name) == value for name, value in wanted.items()):
                return event
        assert time.monotonic() < end, f"no event with {wanted}"
