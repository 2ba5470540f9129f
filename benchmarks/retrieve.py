# SPDX-License-Identifier: Apache-2.0
"""Measure how fast a server gives out a CT study, by C-GET and by C-MOVE.

    python benchmarks/retrieve.py FOLDER [--server radkeep|orthanc] [--instances 500] [--runs 3]

FOLDER holds what ``generate.py`` made. The receiver is our own: it reads PDUs from the socket,
answers each data set and keeps none, so that the server is what is measured.
"""

import argparse
import json
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pydicom import dcmread

import rawsend
import receivers
from radkeep.testing import server as radkeep_server

GET, MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
MAX_PDU = 131_072
_BUFFER = 1 << 20
_PEEKED = 1_024  # bytes read at once: headers and commands
_DROPPED = 4_096  # bytes that are worth a call of their own


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from(">BxH", data, position)
        yield kind, data[position + 4 : position + 4 + length]
        position += 4 + length


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def command(elements: bytes) -> bytes:
    return element(0, struct.pack("<I", len(elements))) + elements


def fragment(context: int, control: int, value: bytes) -> bytes:
    head = struct.pack(">BxIIBB", 4, len(value) + 6, len(value) + 2, context, control)
    return head + value


class Stream:
    """PDUs of a socket, read without keeping data."""

    def __init__(self, link: socket.socket) -> None:
        self._socket = link
        self._memory = bytearray(_BUFFER)
        self._view = memoryview(self._memory)
        self._start = self._end = 0
        self.bytes = 0

    def take(self, length: int) -> bytes:
        """Return the next ``length`` bytes, a short piece."""
        while self._end - self._start < length:
            self._view[: self._end - self._start] = bytes(self._view[self._start : self._end])
            self._end, self._start = self._end - self._start, 0
            self._fill()
        self._start += length
        return bytes(self._view[self._start - length : self._start])

    def skip(self, length: int) -> None:
        """Drop the next ``length`` bytes."""
        self.bytes += length
        while length:
            here = min(length, self._end - self._start)
            self._start += here
            length -= here
            if length >= _DROPPED:  # the kernel drops them: a reader must not be what is measured
                length -= self._socket.recv_into(self._view, min(length, _BUFFER), socket.MSG_TRUNC)
            elif length:
                self._start = self._end = 0
                self._fill()

    def _fill(self) -> None:
        got = self._socket.recv_into(self._view[self._end :], _PEEKED)
        if not got:
            raise ConnectionError("closed")
        self._end += got

    def commands(self) -> Iterator[tuple[int, dict[int, bytes]]]:
        """Yield context and elements of each command, after the data set that follows it."""
        elements: dict[int, bytes] = {}
        while True:
            kind, length = struct.unpack(">BxI", self.take(6))
            if kind != 4:
                body = self.take(length)
                if kind == 5:
                    self._socket.sendall(b"\6\0\0\0\0\4\0\0\0\0")
                    return
                raise ConnectionError(f"PDU {kind}: {body!r}")
            while length:
                size, context, control = struct.unpack(">IBB", self.take(6))
                length -= 4 + size
                if control & 1:
                    elements |= dict(_elements(self.take(size - 2)))
                    if elements[0x0800] == b"\1\1":
                        yield context, elements
                        elements = {}
                else:
                    self.skip(size - 2)
                    if control & 2:
                        yield context, elements
                        elements = {}


def _elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 8 <= len(body):
        _, number, length = struct.unpack_from("<HHI", body, position)
        yield number, body[position + 8 : position + 8 + length]
        position += 8 + length


def _stored(context: int, elements: dict[int, bytes]) -> bytes:
    """Return the answer of success to a C-STORE or C-ECHO."""
    answer = (
        element(0x0002, elements[0x0002])
        + element(0x0100, elements[0x0100][:1] + b"\x80")
        + element(0x0120, elements[0x0110])
        + element(0x0800, b"\1\1")
        + element(0x0900, b"\0\0")
    )
    if 0x1000 in elements:
        answer += element(0x1000, elements[0x1000])
    return fragment(context, 3, command(answer))


def _ask(field: int, model: str, study: str, destination: str = "") -> bytes:
    asked = (
        element(0x0002, uid(model))
        + element(0x0100, struct.pack("<H", field))
        + element(0x0110, b"\1\0")
        + (element(0x0600, destination.encode()) if destination else b"")
        + element(0x0700, b"\0\0")
        + element(0x0800, b"\1\0")
    )
    value = uid(study)
    identifier = struct.pack("<HH2sH", 8, 0x52, b"CS", 6) + b"STUDY "
    identifier += struct.pack("<HH2sH", 0x20, 0x0D, b"UI", len(value)) + value
    return fragment(1, 3, command(asked)) + fragment(1, 2, identifier)


def _role(sop_class: str) -> bytes:
    raw = sop_class.encode()
    return item(0x54, struct.pack(">H", len(raw)) + raw + b"\0\1")


@contextmanager
def associated(
    address: tuple[str, int], called: str, contexts: Sequence[tuple[str, str]], extra: bytes = b""
) -> Iterator[tuple[socket.socket, Stream]]:
    """Associate, with ``extra`` items of user information."""
    link = socket.create_connection(address, 30)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), b"RAWSEND".ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, syntax) in enumerate(contexts):
        parts = item(0x30, abstract.encode()) + item(0x40, syntax.encode())
        body += item(0x20, bytes((2 * number + 1, 0, 0, 0)) + parts)
    user = item(0x51, struct.pack(">I", MAX_PDU)) + item(0x52, b"1.2.3") + extra
    body += item(0x50, user)
    link.sendall(struct.pack(">BxI", 1, len(body)) + body)
    stream = Stream(link)
    kind, length = struct.unpack(">BxI", stream.take(6))
    stream.take(length)
    if kind != 2:
        raise ConnectionError("rejected")
    try:
        yield link, stream
    finally:
        link.close()


def get(address: tuple[str, int], called: str, study: str) -> tuple[int, int, float]:
    """Return instances, bytes and seconds of a C-GET."""
    contexts = [(GET, EXPLICIT), (CT, EXPLICIT)]
    with associated(address, called, contexts, _role(CT)) as (link, stream):
        started, count = time.perf_counter(), 0
        link.sendall(_ask(0x10, GET, study))
        for context, elements in stream.commands():
            if elements[0x0100] == b"\1\0":
                count += 1
                link.sendall(_stored(context, elements))
            elif elements[0x0900] not in (b"\0\xff", b"\1\xff"):
                if elements[0x0900] != b"\0\0":
                    raise ConnectionError(f"status {elements[0x0900]!r}")
                break
        return count, stream.bytes, time.perf_counter() - started


class Sink:
    """A storage SCP that keeps nothing."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=8)
        self.port = self.server.getsockname()[1]
        self.count = self.bytes = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            link, _ = self.server.accept()
            with link:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._one(link)

    def _one(self, link: socket.socket) -> None:
        stream = Stream(link)
        _, length = struct.unpack(">BxI", stream.take(6))
        request = stream.take(length)
        answer = request[:68] + item(0x10, b"1.2.840.10008.3.1.1.1")
        for kind, value in items(request[68:]):
            if kind == 0x20:
                syntaxes = [v for k, v in items(value[4:]) if k == 0x40]
                answer += item(0x21, value[:2] + b"\0\0" + item(0x40, syntaxes[0]))
        user = item(0x51, struct.pack(">I", MAX_PDU)) + item(0x52, b"1.2.3")
        answer += item(0x50, user)
        link.sendall(struct.pack(">BxI", 2, len(answer)) + answer)
        before = 0
        for context, elements in stream.commands():
            self.count += 0x1000 in elements
            self.bytes, before = self.bytes + stream.bytes - before, stream.bytes
            link.sendall(_stored(context, elements))


def move(address: tuple[str, int], called: str, study: str, sink: Sink) -> tuple[int, int, float]:
    """Return instances, bytes and seconds of a C-MOVE to ``sink``."""
    sink.count = sink.bytes = 0
    with associated(address, called, [(MOVE, EXPLICIT)]) as (link, stream):
        started = time.perf_counter()
        link.sendall(_ask(0x21, MOVE, study, "SINK"))
        for _, elements in stream.commands():
            if elements[0x0900] not in (b"\0\xff", b"\1\xff"):
                if elements[0x0900] != b"\0\0":
                    raise ConnectionError(f"status {elements[0x0900]!r}")
                break
        return sink.count, sink.bytes, time.perf_counter() - started


@contextmanager
def radkeep(folder: Path, sink: Sink) -> Iterator[tuple[tuple[str, int], str]]:
    """Serve an installation that knows us and the sink."""
    founded = radkeep_server.found(folder)
    with radkeep_server.serving(founded) as server:
        founded.run("device", "add", "RAWSEND", "--from", "127.0.0.0/8",
                    "--allow", "store,find,move,get")  # fmt: skip
        founded.run("device", "add", "SINK", "--host", "127.0.0.1", "--port", str(sink.port))
        yield ("127.0.0.1", server.dimse), "RADKEEP"


@contextmanager
def orthanc(folder: Path, sink: Sink) -> Iterator[tuple[tuple[str, int], str]]:
    """Serve Orthanc as in ``ingest.py``, with the sink as a known modality."""
    more = {
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"SINK": ["SINK", "127.0.0.1", sink.port]},
    }
    with receivers.orthanc(folder, **more) as receiver:
        yield ("127.0.0.1", receiver.port), "ORTHANC"


def main() -> int:
    """Run and print one JSON line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", choices=("radkeep", "orthanc"), default="radkeep")
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    paths = sorted((asked.folder / "ct").rglob("*.dcm"))[: asked.instances]
    instances = [rawsend.Instance.read(path) for path in paths]
    study = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    sink = Sink()
    serve = radkeep if asked.server == "radkeep" else orthanc
    with tempfile.TemporaryDirectory() as name, serve(Path(name), sink) as (address, called):
        sent = rawsend.send(address, instances, calling="RAWSEND", called=called)
        assert set(sent.statuses) == {0}, sent
        del instances
        for _ in range(asked.runs):
            for what, (count, size, seconds) in (
                ("c-get", get(address, called, study)),
                ("c-move", move(address, called, study, sink)),
            ):
                print(json.dumps({
                    "server": asked.server, "what": what, "instances": count,
                    "seconds": round(seconds, 3), "mb_s": round(size / seconds / 1e6, 1),
                    "instances_s": round(count / seconds, 1),
                }))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
