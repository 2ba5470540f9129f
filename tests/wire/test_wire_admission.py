# SPDX-License-Identifier: Apache-2.0
"""Who gets in, and that every refused stranger hears exactly the same."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest

from radkeep.dimse.ports import Violation
from radkeep.domain.errors import AuditUnavailableError, LockedError, UnavailableError
from radkeep.testing.dimse import Door

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
CONTEXTS = [(CT, EXPLICIT)]


def _answer(door: Door, rawsend: ModuleType, **fields: str) -> bytes:
    """Return all bytes that the server sends to a request, until it or we close."""
    request = rawsend._request(CONTEXTS, fields["calling"], fields["called"], 1)
    return _exchange(door, request)


def _exchange(door: Door, request: bytes) -> bytes:
    with socket.create_connection(door.address, 10) as peer:
        peer.sendall(request)
        received = b""
        while part := peer.recv(4_096):
            received += part
        return received


def test_strangers_hear_the_same(open_door: Callable[..., Door], rawsend: ModuleType) -> None:
    door = open_door("CT1")
    request = bytearray(rawsend._request(CONTEXTS, "CT1", "RADKEEP", 1))
    version, application = request.copy(), request.copy()
    version[7] = 2
    at = application.index(b"1.2.840.10008.3.1.1.1")
    application[at : at + 21] = b"1.2.840.10008.3.1.1.9"
    answers = {
        _answer(door, rawsend, calling="CT1", called="WRONG"),
        _answer(door, rawsend, calling="NOBODY", called="RADKEEP"),
        _answer(door, rawsend, calling="NOBODY", called="WRONG"),
        _exchange(door, bytes(version)),
        _exchange(door, bytes(application)),
    }
    assert answers == {bytes.fromhex("03000000000400010103")}
    assert ("NOBODY", "RADKEEP", "127.0.0.1") in door.admission.refused


@pytest.mark.parametrize(
    ("error", "numbers"),
    [
        (LockedError("locked"), "2/3/1"),
        (UnavailableError("busy"), "2/3/2"),
        (AuditUnavailableError("no audit"), "2/3/2"),
        (RuntimeError("a bug"), "2/3/2"),
    ],
)
def test_trouble_of_ours_is_told(
    door: Door, rawsend: ModuleType, error: Exception, numbers: str, associate: Callable[..., Any]
) -> None:
    door.admission.error = error
    with pytest.raises(rawsend.AssociationError, match=numbers):
        associate(door, CONTEXTS)
    door.admission.error = None
    associate(door, CONTEXTS).release()


def test_sealed(
    open_door: Callable[..., Door], rawsend: ModuleType, associate: Callable[..., Any]
) -> None:
    door = open_door(sealed=True)
    with pytest.raises(rawsend.AssociationError, match="2/3/1"):
        associate(door, CONTEXTS)


def test_overload_is_told_and_one_peer_cannot_cause_it(
    open_door: Callable[..., Door],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    associate: Callable[..., Any],
) -> None:
    door = open_door(associations=4, associations_per_peer=3, reserved=0)
    greedy = [associate(door, CONTEXTS, calling="A") for _ in range(3)]
    with pytest.raises(rawsend.AssociationError, match="2/3/2"):
        associate(door, CONTEXTS, calling="A")
    other = associate(door, CONTEXTS, calling="B")
    assert other.store(instance()) == 0
    with pytest.raises(rawsend.AssociationError, match="2/3/2"):
        associate(door, CONTEXTS, calling="C")
    for link in (*greedy, other):
        link.release()
    associate(door, CONTEXTS, calling="C").release()


def test_shutdown_finishes_what_is_under_way(
    open_door: Callable[..., Door],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    associate: Callable[..., Any],
) -> None:
    door = open_door(grace=5.0)
    idle = associate(door, CONTEXTS)
    busy = associate(door, CONTEXTS)
    door.store.open.clear()
    busy.socket.sendall(rawsend.message(1, 1, instance(), busy.max_pdu))
    while not (door.store.receptions and door.store.receptions[0].ended):
        pass
    closing = door.loop.run(_begin(door.server.close()))
    with pytest.raises(rawsend.AssociationError, match="aborted 0/0"):
        idle.receive()
    with pytest.raises((rawsend.AssociationError, OSError)):
        associate(door, CONTEXTS)
    door.store.open.set()
    assert busy.response()[0x0900] == b"\0\0"
    with pytest.raises(rawsend.AssociationError, match="aborted 0/0"):
        busy.receive()
    door.loop.run(_wait(closing))
    assert [kept.sop_instance for kept in door.store.kept] == ["1.2.3.4"]


def test_shutdown_is_bounded(
    open_door: Callable[..., Door],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    associate: Callable[..., Any],
) -> None:
    door = open_door(grace=0.2)
    stuck = associate(door, CONTEXTS)
    stuck.socket.sendall(rawsend.message(1, 1, instance(size=500_000), 16_384)[:300_000])
    while not door.store.receptions:
        pass
    door.loop.run(door.server.close(), 5.0)
    with pytest.raises(rawsend.AssociationError, match="aborted 0/0"):
        stuck.receive()
    assert [r.ended for r in door.store.receptions] == ["abandoned"]


def test_who_was_removed_loses_its_associations(
    open_door: Callable[..., Door],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    associate: Callable[..., Any],
) -> None:
    door = open_door(recheck=0.1)
    idle = associate(door, CONTEXTS, calling="A")
    busy = associate(door, CONTEXTS, calling="A")
    other = associate(door, CONTEXTS, calling="B")
    assert busy.store(instance()) == 0
    busy.socket.sendall(rawsend.message(1, 1, instance("1.2.5", size=500_000), 16_384)[:300_000])
    while len(door.store.receptions) < 2:
        pass
    door.admission.removed.add("A")
    for link in (idle, busy):
        link.socket.settimeout(5)
        with pytest.raises(rawsend.AssociationError, match="aborted 0/0"):
            link.receive()
    assert other.store(instance("1.2.6")) == 0
    assert [kept.sop_instance for kept in door.store.kept] == ["1.2.3.4", "1.2.6"]
    assert [reception.ended for reception in door.store.receptions][1] == "abandoned"
    while not door.witness.incidents:
        pass
    (incident,) = door.witness.incidents
    assert (incident.violation, incident.actor.id) == (Violation.WITHDRAWN, "A")


@pytest.mark.parametrize("error", [UnavailableError("busy"), RuntimeError("a bug")])
def test_trouble_of_ours_ends_no_association(
    open_door: Callable[..., Door],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    associate: Callable[..., Any],
    error: Exception,
) -> None:
    door = open_door(recheck=0.05)
    link = associate(door, CONTEXTS, calling="A")
    door.admission.error = error
    while door.admission.rechecks < 3:
        pass
    assert link.store(instance()) == 0
    door.admission.error = None
    door.admission.removed.add("A")  # and rounds go on
    link.socket.settimeout(5)
    with pytest.raises(rawsend.AssociationError, match="aborted 0/0"):
        link.receive()


async def _begin(work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    return asyncio.ensure_future(work)


async def _wait(task: asyncio.Future[None]) -> None:
    await task
