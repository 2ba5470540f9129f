# SPDX-License-Identifier: Apache-2.0
"""Floods, lies about lengths and slowness: the honest peer is served and memory stays flat.

Invariant tested: no unauthenticated peer can make the DICOM door keep memory, time or descriptors
that an honest one needs.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from radkeep.dimse.descriptors import raise_descriptor_limit
from radkeep.dimse.ports import Violation
from radkeep.dimse.server import DimseServer
from radkeep.dimse.settings import DimseSettings
from radkeep.dimse.wire import commands, items, pdu
from radkeep.dimse.wire.commands import Command, CommandField, Element
from radkeep.testing.dimse import Door, FakeAdmission, FakeStore, FakeWitness, LoopThread

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
REQUEST = pdu.encode(
    pdu.AssociateRequest(
        called="RADKEEP",
        calling="CT1",
        contexts=(
            items.ProposedContext(1, VERIFICATION, (IMPLICIT,)),
            items.ProposedContext(3, CT, (IMPLICIT,)),
        ),
    )
)
ECHO = Command(
    {
        Element.COMMAND_FIELD: CommandField.C_ECHO,
        Element.MESSAGE_ID: 1,
        Element.DATA_SET_TYPE: commands.NO_DATA_SET,
    },
    {Element.AFFECTED_SOP_CLASS: VERIFICATION},
).encode()
STORE = Command(
    {
        Element.COMMAND_FIELD: CommandField.C_STORE,
        Element.MESSAGE_ID: 1,
        Element.DATA_SET_TYPE: commands.DATA_SET,
    },
    {Element.AFFECTED_SOP_CLASS: CT, Element.AFFECTED_SOP_INSTANCE: "1.2.3"},
).encode()


def _message(context: int, command: bytes) -> bytes:
    return b"".join(pdu.fragments(context, command, is_command=True, max_length=16_384))


@pytest.fixture
def open_door() -> Iterator[Callable[..., Door]]:
    doors: list[Door] = []

    def start(**settings: object) -> Door:
        store, admission = FakeStore(), FakeAdmission()
        witness, loop = FakeWitness(), LoopThread()
        server = DimseServer(
            admission=admission,
            store=store,
            supports=lambda uid: uid == CT,
            settings=DimseSettings(**{"tick": 0.05, "grace": 0.5} | settings),
            witness=witness,
        )

        async def listen() -> int:
            await server.__aenter__()
            return await server.listen("127.0.0.1", 0)

        doors.append(Door(loop.run(listen()), server, store, admission, witness, loop))
        return doors[-1]

    yield start
    for door in doors:
        door.store.feeding.set()
        door.loop.run(door.server.close())
        door.loop.close()
        door.store.close()


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _connect(door: Door, sockets: ExitStack, source: str = "127.0.0.1") -> socket.socket:
    peer = socket.create_connection(door.address, 10, source_address=(source, 0))
    return sockets.enter_context(peer)


def _receive(peer: socket.socket) -> bytes:
    """Return one PDU, or nothing if the server has closed."""
    header = _exactly(peer, 6)
    return header + _exactly(peer, int.from_bytes(header[2:], "big")) if header else b""


def _exactly(peer: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        try:
            part = peer.recv(length - len(received))
        except ConnectionResetError:
            return b""
        if not part:
            return b""
        received += part
    return received


def _honest_echo(door: Door, sockets: ExitStack, source: str = "127.0.0.1") -> float:
    """Return the seconds from connecting to the echo's answer."""
    began = time.perf_counter()
    peer = _connect(door, sockets, source)
    peer.sendall(REQUEST)
    assert _receive(peer)[0] == pdu.PduType.ASSOCIATE_AC
    peer.sendall(_message(1, ECHO))
    assert _receive(peer)[0] == pdu.PduType.DATA
    peer.sendall(pdu.encode(pdu.ReleaseRequest()))
    assert _receive(peer)[0] == pdu.PduType.RELEASE_RP
    return time.perf_counter() - began


def _resident() -> int:
    """Return this process's resident bytes; the server runs in it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4_096


def _until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        threading.Event().wait(0.01)


def test_2000_silent_connections_do_not_matter(
    open_door: Callable[..., Door], sockets: ExitStack
) -> None:
    if raise_descriptor_limit() < 5_000:
        pytest.skip("the system allows too few open files for 2,000 connections to ourselves")
    door = open_door()
    before = _resident()
    for _ in range(2_000):
        _connect(door, sockets)
    assert _honest_echo(door, sockets) < 1.0
    assert _resident() - before < 32 << 20  # both ends live in this process


def test_half_open_connections_displace_themselves(
    open_door: Callable[..., Door], sockets: ExitStack
) -> None:
    door = open_door(half_open=20)
    honest = _connect(door, sockets, "127.0.0.2")
    honest.sendall(REQUEST[:10])
    flood = [_connect(door, sockets) for _ in range(60)]
    for peer in flood:
        peer.sendall(REQUEST[:1])
    assert _honest_echo(door, sockets, "127.0.0.3") < 1.0
    honest.sendall(REQUEST[10:])
    assert _receive(honest)[0] == pdu.PduType.ASSOCIATE_AC
    _until(lambda: door.witness.incidents)
    assert {i.violation for i in door.witness.incidents} == {Violation.CROWDED_OUT}
    assert {i.address for i in door.witness.incidents} == {"127.0.0.1"}


@pytest.mark.parametrize("kind", [1, 4, 7, 0])
def test_a_claim_of_4_gib_costs_no_memory(
    open_door: Callable[..., Door], sockets: ExitStack, kind: int
) -> None:
    door = open_door()
    peer = _connect(door, sockets)
    before = _resident()
    peer.sendall(struct.pack(">BxI", kind, 0xFFFFFFF0))
    block = bytes(1 << 20)
    for _ in range(64):  # what follows is read and forgotten
        try:
            peer.sendall(block)
        except OSError:
            break
    assert _receive(peer)[:6] == struct.pack(">BxI", pdu.PduType.ABORT, 4)
    assert _resident() - before < 16 << 20


def test_an_oversized_pdu_inside_an_association(
    open_door: Callable[..., Door], sockets: ExitStack
) -> None:
    door = open_door()
    peer = _connect(door, sockets)
    peer.sendall(REQUEST)
    _receive(peer)
    before = _resident()
    peer.sendall(_message(3, STORE) + struct.pack(">BxI", 4, 0xFFFFFFFF))
    assert _receive(peer) == pdu.encode(pdu.Abort(2, 6))
    assert _resident() - before < 16 << 20
    _until(lambda: door.store.receptions and door.store.receptions[0].ended == "abandoned")
    assert _honest_echo(door, sockets) < 1.0


def test_requests_of_a_megabyte_share_a_budget(
    open_door: Callable[..., Door], sockets: ExitStack
) -> None:
    door = open_door(handshake_bytes=4 << 20)
    before = _resident()
    large = struct.pack(">BxI", 1, 1 << 20) + bytes(1_000_000)
    for _ in range(40):
        peer = _connect(door, sockets)
        try:
            peer.sendall(large)
        except OSError:
            continue
    assert _honest_echo(door, sockets, "127.0.0.2") < 1.0
    assert _resident() - before < 24 << 20


@pytest.mark.parametrize("sent", [b"", REQUEST[:1], REQUEST[:-1]])
def test_a_slow_request_is_cut(
    open_door: Callable[..., Door], sockets: ExitStack, sent: bytes
) -> None:
    door = open_door(first_byte=0.2, artim=0.2)
    peer = _connect(door, sockets)
    peer.sendall(sent)
    assert _receive(peer) == b""


def test_a_dripping_message_is_cut(open_door: Callable[..., Door], sockets: ExitStack) -> None:
    door = open_door(stall=0.3, min_rate=1_000_000)
    peer = _connect(door, sockets)
    peer.sendall(REQUEST)
    _receive(peer)
    peer.sendall(_message(3, STORE))
    stop = threading.Event()

    def drip() -> None:
        peer.sendall(struct.pack(">BxI", 4, 10_000) + pdu.FRAGMENT.pack(9_996, 3, 2))
        while not stop.wait(0.05):
            try:
                peer.sendall(b"\0")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    assert _receive(peer) == pdu.encode(pdu.Abort(0, 0))
    stop.set()
    thread.join()
    _until(lambda: door.witness.incidents)
    assert [i.violation for i in door.witness.incidents] == [Violation.TOO_SLOW]
    assert door.store.kept == []


@pytest.mark.parametrize("limit", ["idle", "total"])
def test_an_association_that_lasts_too_long_is_cut(
    open_door: Callable[..., Door], sockets: ExitStack, limit: str
) -> None:
    door = open_door(**{limit: 0.2})
    peer = _connect(door, sockets)
    peer.sendall(REQUEST)
    _receive(peer)
    assert _receive(peer) == pdu.encode(pdu.Abort(0, 0))
    assert door.witness.incidents == []  # long is not wrong


def test_a_peer_that_does_not_listen_is_not_read_either(
    open_door: Callable[..., Door], sockets: ExitStack
) -> None:
    door = open_door()
    peer = sockets.enter_context(socket.socket())
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    peer.connect(door.address)
    peer.sendall(REQUEST)
    _receive(peer)
    peer.settimeout(1.0)
    with pytest.raises(TimeoutError):  # 43 MB of requests, and no answer is read
        peer.sendall(_message(1, ECHO) * 500_000)
    (channel,) = door.server._gate.associated
    assert channel._transport.get_write_buffer_size() < 512 << 10  # one turn's answers and a bit
    assert _honest_echo(door, sockets) < 1.0


def test_a_slow_store_is_not_flooded(open_door: Callable[..., Door], sockets: ExitStack) -> None:
    door = open_door()
    door.store.feeding.clear()
    peer = _connect(door, sockets)
    peer.sendall(REQUEST)
    _receive(peer)
    part = struct.pack(">BxI", 4, 262_144) + pdu.FRAGMENT.pack(262_140, 3, 0) + bytes(262_138)
    peer.settimeout(0.5)
    stream = b"".join((_message(3, STORE), *[part] * 100))
    before = _resident()
    with pytest.raises(TimeoutError):
        peer.sendall(stream)
    assert _resident() - before < 8 << 20
    assert _honest_echo(door, sockets) < 1.0
    door.store.feeding.set()
    _until(lambda: len(door.store.receptions[0].data) > 4 << 20)  # reading goes on


def test_a_flood_of_garbage_is_recorded_once(
    open_door: Callable[..., Door], sockets: ExitStack
) -> None:
    door = open_door()
    for _ in range(50):
        peer = _connect(door, sockets)
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert _receive(peer)[0] == pdu.PduType.ABORT
    _until(lambda: door.witness.incidents)
    assert len(door.witness.incidents) == 1
