# SPDX-License-Identifier: Apache-2.0
"""The DICOM door of a real server against crowds, liars and strangers."""

import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from corpus_house import RAW, House, Store
from real_peers import (
    CT,
    EXPLICIT,
    MIB,
    ROOT,
    answer,
    associated,
    data_set,
    nothing_stored,
    processes,
    request,
    resident,
    unharmed,
    until_event,
)

import rawsend

IDLE = 2_000  # connections
ELSEWHERE = "ELSEWHERE"  # registered, but not for our address
REMOVED = "REMOVED"  # registered until a test removes it
REFUSED = bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 3))  # 1/1/3, PS3.8 Table 9-21

pytestmark = pytest.mark.xdist_group("real-dicom-door")


@pytest.fixture(scope="module")
def store(house: House) -> Iterator[Store]:
    with house.empty() as store:
        store.installation.run("device", "add", ELSEWHERE, "--from", "192.0.2.0/24")
        store.installation.run("device", "add", REMOVED, "--from", "127.0.0.0/8")
        yield store


@pytest.fixture
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 500:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _echo(store: Store) -> float:
    """Return how long connecting, associating and a C-ECHO took."""
    began = time.perf_counter()
    verification = [(rawsend.VERIFICATION, EXPLICIT)]
    link = rawsend.Association(store.dimse, verification, calling=RAW)
    assert link.echo() == 0
    took = time.perf_counter() - began
    link.release()
    return took


@pytest.mark.usefixtures("descriptors")
def test_an_honest_echo_among_2000_idle_connections(store: Store) -> None:
    size = resident(processes(store)["dimse"])
    with ExitStack() as crowd:
        peers = [
            crowd.enter_context(socket.create_connection(store.dimse, 30)) for _ in range(IDLE)
        ]
        assert _echo(store) < 1
        for peer in peers[:200]:
            peer.sendall(b"\1")  # half-open from now on
        assert _echo(store) < 1
        assert resident(processes(store)["dimse"]) - size < 32 * MIB
    assert _echo(store) < 1


@pytest.mark.parametrize("kind", [1, 4], ids=["request", "data"])
def test_a_pdu_that_claims_4_gib_costs_no_memory(store: Store, kind: int) -> None:
    _echo(store)
    lie = struct.pack(">BxI", kind, 0xFFFFFFFF)
    with unharmed(store, grow=4 * MIB), ExitStack() as peers:
        for _ in range(8):
            if kind == 1:
                peer = peers.enter_context(socket.create_connection(store.dimse, 10))
            else:
                peer = peers.enter_context(associated(store, RAW))
            try:
                peer.sendall(lie + bytes(100_000))
                assert answer(peer)[:1] in {b"\7", b""}  # A-ABORT, or just closed
            except ConnectionError:
                pass
    until_event(store, violation="protocol-violation")
    assert nothing_stored(store)


def _message(content: bytes) -> bytes:
    instance = rawsend.Instance(CT, f"{ROOT}.1", EXPLICIT, content)
    return rawsend.message(3, 1, instance, 16_384)


def test_a_truncated_pdu_leaves_nothing_and_an_event(store: Store) -> None:
    whole = _message(data_set())
    for length in (len(whole) - 20, len(whole) // 2):
        with associated(store, RAW) as peer:
            peer.sendall(whole[:length])
    until_event(store, what="the connection ends inside a message")
    assert nothing_stored(store)
    assert _echo(store) < 1


def test_an_oversized_pdu_is_an_abort(store: Store) -> None:
    with unharmed(store), associated(store, RAW) as peer:
        length = 64 * MIB
        peer.sendall(struct.pack(">BxI", 4, length) + struct.pack(">IBB", length - 4, 3, 2))
        assert answer(peer)[:1] == b"\7"
        assert peer.recv(1) == b""
    until_event(store, violation="protocol-violation")
    assert nothing_stored(store)


def test_a_device_that_another_process_removed_is_cut_off_within_5_seconds(store: Store) -> None:
    half = _message(data_set())[:200]
    with associated(store, REMOVED) as idle, associated(store, REMOVED) as storing:
        storing.sendall(half)
        with associated(store, RAW) as other:
            store.installation.run("device", "remove", REMOVED)
            removed = time.monotonic()
            for peer in (idle, storing):
                peer.settimeout(10)
                assert answer(peer)[:1] == b"\7"
            assert time.monotonic() - removed < 5
            other.sendall(bytes.fromhex("05000000000400000000"))
            assert answer(other)[0] == 6  # released, not aborted
    event = until_event(store, violation="admission-withdrawn")
    assert (event["event"], event["actor_name"]) == ("110113", REMOVED)
    assert event["address"] == "127.0.0.1"
    assert nothing_stored(store)


def test_strangers_hear_the_same_and_the_operator_hears_the_truth(store: Store) -> None:
    strangers = {
        ("NOBODY", "RADKEEP"): "no device with this AE title is registered",
        (ELSEWHERE, "RADKEEP"): "the device is registered, but not for this address",
        (RAW, "OTHER"): "it calls another AE title than ours",
    }
    heard = set()
    for calling, called in strangers:
        with socket.create_connection(store.dimse, 10) as peer:
            peer.sendall(request(calling, called))
            heard.add(answer(peer))
    assert heard == {REFUSED}
    for (calling, called), reason in strangers.items():
        event = until_event(store, actor_name=calling, reason=reason, called=called)
        assert (event["event"], event["type"]) == ("110113", "110126")
        assert event["address"] == "127.0.0.1"
    deadline = time.monotonic() + 5
    while True:
        pending = store.installation.json("device", "list", "--pending")
        told = {(each["ae_title"], each["called"]): each["reason"] for each in pending}
        if told == strangers or time.monotonic() > deadline:
            break
    assert told == strangers
    assert all(each["address"] == "127.0.0.1" for each in pending)
