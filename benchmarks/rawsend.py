# SPDX-License-Identifier: Apache-2.0
"""Send data sets over C-STORE bit for bit, as fast as a window allows; needs only Python.

Everything that goes over the wire is built before the clock starts; each association has a
process of its own with blocking sockets. Independent of the server's own protocol code, so that
it also serves as a foreign peer in tests.

    python benchmarks/rawsend.py PORT FILE_OR_FOLDER... [--associations 4] [--window 8]

prints JSON: wall seconds, instances, bytes, median and 99th percentile of the answer's time in
milliseconds, and how often each status came.
"""

import argparse
import json
import multiprocessing as mp
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

VERIFICATION = "1.2.840.10008.1.1"
_IMPLEMENTATION = b"2.25.137405276839061524411532870129485761234"
_PDU = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_LONG = frozenset((b"OB", b"UN", b"UT", b"OW", b"SQ"))
_CONTEXTS = 128  # of one association


class AssociationError(Exception):
    """The peer rejected, aborted or closed the association."""


@dataclass(frozen=True)
class Instance:
    """One data set and what its command says about it."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data_set: bytes

    @classmethod
    def read(cls, path: Path) -> "Instance":
        """Take a Part 10 file apart, without touching the data set."""
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            raise ValueError(f"{path}: not a Part 10 file")
        position, meta = 132, {}
        while raw[position : position + 2] == b"\x02\x00":
            (element,) = struct.unpack_from("<H", raw, position + 2)
            if raw[position + 4 : position + 6] in _LONG:
                (length,) = struct.unpack_from("<I", raw, position + 8)
                position += 12
            else:
                (length,) = struct.unpack_from("<H", raw, position + 6)
                position += 8
            meta[element] = raw[position : position + length].rstrip(b"\0 ").decode("latin-1")
            position += length
        return cls(meta[0x0002], meta[0x0003], meta[0x0010], raw[position:])


@dataclass
class Result:
    """What one association measured; times are ``time.perf_counter`` seconds."""

    started: float = 0.0
    ended: float = 0.0
    bytes: int = 0
    statuses: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    max_pdu: int = 0
    window: int = 1
    error: str = ""


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def _uid(text: str) -> bytes:
    raw = text.encode("latin-1")
    return raw + b"\0" * (len(raw) % 2)


def _command(elements: bytes) -> bytes:
    return _element(0, struct.pack("<I", len(elements))) + elements


def _fragment(context: int, control: int, value: bytes) -> bytes:
    return _PDU.pack(4, len(value) + 6) + _PDV.pack(len(value) + 2, context, control) + value


def message(context: int, message_id: int, instance: Instance, max_pdu: int) -> bytes:
    """Return the whole C-STORE request with its data set as P-DATA-TF PDUs."""
    command = _command(
        _element(0x0002, _uid(instance.sop_class))
        + _element(0x0100, b"\1\0")
        + _element(0x0110, struct.pack("<H", message_id))
        + _element(0x0700, b"\0\0")
        + _element(0x0800, b"\1\0")
        + _element(0x1000, _uid(instance.sop_instance))
    )
    room, data = max_pdu - 6, memoryview(instance.data_set)
    parts = [_fragment(context, 3, command)]
    for start in range(0, len(data) or 1, room):
        last = 2 if start + room >= len(data) else 0
        parts.append(_fragment(context, last, bytes(data[start : start + room])))
    return b"".join(parts)


class Association:
    """An association as requestor, one context for each class and transfer syntax."""

    def __init__(  # noqa: PLR0913 - a keyword for each thing that a peer chooses
        self,
        address: tuple[str, int],
        contexts: Sequence[tuple[str, str]],
        *,
        calling: str = "RAWSEND",
        called: str = "RADKEEP",
        window: int = 1,
        max_pdu: int = 1 << 20,
        timeout: float = 60.0,
        tls: ssl.SSLContext | None = None,
        source: str = "",
    ) -> None:
        """Connect and negotiate ``contexts``: pairs of abstract and transfer syntax.

        ``tls`` is the context of a device with its certificate; without it, all is plain.
        ``source`` is the own address to call from.

        Raises:
            AssociationError: rejected (with the three numbers) or aborted.
        """
        if len(contexts) > _CONTEXTS:
            raise ValueError("too many presentation contexts for one association")
        self.socket = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
            self.socket.sendall(_request(contexts, calling, called, window))
            body = self._accepted()
        except BaseException:
            self.socket.close()
            raise
        self.window, peer_max, accepted = 1, 0, set()
        for item, value in _items(body[68:]):
            if item == 0x21 and value[2] == 0:
                accepted.add(value[0])
            elif item == 0x50:
                for sub, content in _items(value):
                    if sub == 0x51:
                        peer_max = int.from_bytes(content, "big")
                    elif sub == 0x53:
                        self.window = int.from_bytes(content[:2], "big") or window
        self.max_pdu = min(peer_max or max_pdu, max_pdu)
        self.contexts = {
            pair: 2 * n + 1 for n, pair in enumerate(contexts) if 2 * n + 1 in accepted
        }

    def _accepted(self) -> bytes:
        kind, body = self.receive()
        if kind != 2:
            raise AssociationError(f"rejected {body[1]}/{body[2]}/{body[3]}")
        return body

    def receive(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU.

        Raises:
            AssociationError: aborted, or the connection ended.
        """
        kind, length = _PDU.unpack(self._exactly(_PDU.size))
        body = self._exactly(length)
        if kind == 7:
            raise AssociationError(f"aborted {body[2]}/{body[3]}")
        return kind, body

    def _exactly(self, length: int) -> bytes:
        received = bytearray()
        while len(received) < length:
            part = self.socket.recv(length - len(received))
            if not part:
                raise AssociationError("closed")
            received += part
        return bytes(received)

    def response(self) -> dict[int, bytes]:
        """Return the elements of the next command set, which fits one PDU of this server."""
        kind, body = self.receive()
        if kind != 4:
            raise AssociationError(f"PDU {kind} instead of a response")
        elements, position = {}, 6
        while position + 8 <= len(body):
            _, number, length = struct.unpack_from("<HHI", body, position)
            elements[number] = body[position + 8 : position + 8 + length]
            position += 8 + length
        return elements

    def echo(self) -> int:
        """Return the status of a C-ECHO; needs a context for verification."""
        context = next(i for (name, _), i in self.contexts.items() if name == VERIFICATION)
        command = _command(
            _element(0x0002, _uid(VERIFICATION))
            + _element(0x0100, b"\x30\0")
            + _element(0x0110, b"\1\0")
            + _element(0x0800, b"\1\1")
        )
        self.socket.sendall(_fragment(context, 3, command))
        return int.from_bytes(self.response()[0x0900], "little")

    def store(self, instance: Instance, message_id: int = 1) -> int:
        """Send one instance and return its status."""
        context = self.contexts[instance.sop_class, instance.transfer_syntax]
        self.socket.sendall(message(context, message_id, instance, self.max_pdu))
        return int.from_bytes(self.response()[0x0900], "little")

    def release(self) -> None:
        """End the association in order."""
        self.socket.sendall(_PDU.pack(5, 4) + bytes(4))
        kind, _ = self.receive()
        self.socket.close()
        if kind != 6:
            raise AssociationError(f"PDU {kind} instead of a release")


def _request(contexts: Sequence[tuple[str, str]], calling: str, called: str, window: int) -> bytes:
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for n, (abstract, syntax) in enumerate(contexts):
        names = _item(0x30, abstract.encode()) + _item(0x40, syntax.encode())
        body += _item(0x20, bytes((2 * n + 1, 0, 0, 0)) + names)
    user = _item(0x51, struct.pack(">I", 131_072)) + _item(0x52, _IMPLEMENTATION)
    if window > 1:
        user += _item(0x53, struct.pack(">HH", window, 1))
    body += _item(0x50, user)
    return _PDU.pack(1, len(body)) + body


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(data):
        kind, length = struct.unpack_from(">BxH", data, position)
        yield kind, data[position + 4 : position + 4 + length]
        position += 4 + length


def send(
    address: tuple[str, int],
    instances: Sequence[Instance],
    *,
    calling: str = "RAWSEND",
    called: str = "RADKEEP",
    window: int = 1,
    max_pdu: int = 1 << 20,
    barrier: Barrier | None = None,
    tls: ssl.SSLContext | None = None,
) -> Result:
    """Send ``instances`` over one association; statuses are in the order of ``instances``."""
    contexts = sorted({(i.sop_class, i.transfer_syntax) for i in instances})
    link = Association(
        address, contexts, calling=calling, called=called, window=window, max_pdu=max_pdu, tls=tls
    )
    messages = [
        message(link.contexts[i.sop_class, i.transfer_syntax], n % 65_535 + 1, i, link.max_pdu)
        for n, i in enumerate(instances)
    ]
    result = Result(max_pdu=link.max_pdu, window=link.window)
    result.bytes = sum(len(i.data_set) for i in instances)
    statuses: dict[int, int] = {}
    sent_at: dict[int, float] = {}
    if barrier is not None:
        barrier.wait()
    result.started = time.perf_counter()
    sent = 0
    while len(statuses) < len(messages):
        while sent < len(messages) and sent - len(statuses) < link.window:
            sent_at[sent] = time.perf_counter()
            link.socket.sendall(messages[sent])
            messages[sent] = b""
            sent += 1
        answer = link.response()
        message_id = int.from_bytes(answer[0x0120], "little")
        number = next(n for n in sent_at if n % 65_535 + 1 == message_id)
        statuses[number] = int.from_bytes(answer[0x0900], "little")
        result.latencies.append(time.perf_counter() - sent_at.pop(number))
    result.ended = time.perf_counter()
    result.statuses = [statuses[n] for n in range(len(messages))]
    link.release()
    return result


def _process(
    options: argparse.Namespace,
    paths: Sequence[Path],
    barrier: Barrier,
    results: "mp.Queue[Result]",
) -> None:
    try:
        instances = [Instance.read(path) for path in paths]
        result = send(
            (options.host, options.port),
            instances,
            calling=options.calling,
            called=options.called,
            window=options.window,
            max_pdu=options.pdu,
            barrier=barrier,
            tls=_tls(options.tls) if options.tls else None,
        )
    except Exception as error:  # noqa: BLE001 - the parent reports it
        barrier.abort()
        result = Result(error=f"{type(error).__name__}: {error}")
    results.put(result)


def _tls(folder: Path) -> ssl.SSLContext:
    """Return a device's context from what ``radkeep device certificate`` wrote to ``folder``."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def _paths(sources: Sequence[Path], limit: int | None) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        found += sorted(source.rglob("*.dcm")) if source.is_dir() else [source]
    return found[:limit]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("sources", nargs="+", type=Path, help="Part 10 files or folders of *.dcm")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--pdu", type=int, default=1 << 20, help="largest PDU to send")
    parser.add_argument("--limit", type=int, help="send only so many files")
    parser.add_argument("--calling", default="RAWSEND")
    parser.add_argument("--called", default="RADKEEP")
    parser.add_argument("--tls", type=Path, help="folder with cert.pem, key.pem and ca.pem")
    options = parser.parse_args()
    paths = _paths(options.sources, options.limit)
    count = min(options.associations, len(paths))
    barrier: Barrier = mp.Barrier(count)
    queue: mp.Queue[Result] = mp.Queue()
    share = -(-len(paths) // count)
    processes = [
        mp.Process(
            target=_process, args=(options, paths[n * share : (n + 1) * share], barrier, queue)
        )
        for n in range(count)
    ]
    for process in processes:
        process.start()
    results = [queue.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    print(json.dumps(summary(results)))
    return 1 if any(result.error for result in results) else 0


def summary(results: Sequence[Result]) -> dict[str, object]:
    """Return the figures of all associations together."""
    errors = [result.error for result in results if result.error]
    if errors:
        return {"errors": errors}
    latencies = sorted(latency for result in results for latency in result.latencies)
    statuses = Counter(status for result in results for status in result.statuses)
    return {
        "wall": max(r.ended for r in results) - min(r.started for r in results),
        "n": len(latencies),
        "bytes": sum(result.bytes for result in results),
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "statuses": {f"{status:04X}": count for status, count in sorted(statuses.items())},
        "pdu": results[0].max_pdu,
        "window": results[0].window,
    }


if __name__ == "__main__":
    raise SystemExit(main())
