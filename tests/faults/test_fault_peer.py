# SPDX-License-Identifier: Apache-2.0
"""A peer that vanishes, resets, stalls or crawls, at every stage of an association.

Invariant tested: the association ends as PS3.8 says (AA-2, AA-4, A-ABORT), what was half there is
abandoned, an honest peer is served meanwhile, and the next association works.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest
from tests.faults.proxy import Deed, Fault, Proxy
from tests.wire.conftest import instance, open_door, rawsend

from radkeep.dimse.ports import Violation
from radkeep.testing.dimse import Door

__all__ = ["instance", "open_door", "rawsend"]

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
EXPLICIT, CT = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
BOTH = [(VERIFICATION, IMPLICIT), (CT, EXPLICIT)]
SIZE = 400_000  # bytes of pixels


class _Sent(Protocol):
    data_set: bytes


QUICK = {"artim": 0.4, "stall": 0.4, "min_rate": 1 << 30, "answer": 5.0}  # patience in seconds


@pytest.fixture
def through(open_door: Callable[..., Door]) -> Iterator[Callable[..., tuple[Door, Proxy]]]:
    """Return a function that puts a proxy before a new door."""
    proxies: list[Proxy] = []

    def start(*, up: Fault | None = None, down: Fault | None = None, **patience: float) -> object:
        door = open_door(**patience)
        proxies.append(Proxy(door.address, up=up, down=down).__enter__())
        return door, proxies[-1]

    yield start
    for proxy in proxies:
        proxy.__exit__()


def _until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        threading.Event().wait(0.01)


def _stages(rawsend: ModuleType) -> Mapping[str, int]:
    """Return bytes after which a connection stands at a stage."""
    request = len(rawsend._request(BOTH, "RAWSEND", "RADKEEP", 1))
    return {
        "request": request // 2,
        "header": request + 3,
        "command": request + 40,
        "data set": request + 100_003,
    }


def _fails(rawsend: ModuleType, proxy: Proxy, sent: object) -> str:
    """Return how an attempt to store through ``proxy`` ended."""
    try:
        link = rawsend.Association(proxy.address, BOTH, timeout=5)
        try:
            link.store(sent)
        finally:
            link.socket.close()
    except (rawsend.AssociationError, OSError) as error:
        return str(error)
    raise AssertionError("it was stored")


def _works(rawsend: ModuleType, door: Door, proxy: Proxy, sent: _Sent) -> None:
    """Store through the healed network; nothing of before is left."""
    proxy.heal()
    before = len(door.store.kept)
    assert rawsend.send(proxy.address, [sent]).statuses == [0]
    assert [kept.data for kept in door.store.kept[before:]] == [sent.data_set]
    assert all(reception.ended for reception in door.store.receptions)
    _until(lambda: all(transfer.closed == 1 for transfer in door.store.transfers))
    _until(lambda: not door.server._gate.associated)


@pytest.mark.parametrize("deed", [Deed.CLOSE, Deed.RESET])
@pytest.mark.parametrize("stage", ["request", "header", "command", "data set"])
def test_a_peer_that_is_gone(
    through: Callable[..., tuple[Door, Proxy]],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    stage: str,
    deed: Deed,
) -> None:
    door, proxy = through(up=Fault(deed, _stages(rawsend)[stage]))
    sent = instance(size=SIZE)
    _fails(rawsend, proxy, sent)
    assert proxy.struck.is_set()
    _until(lambda: door.witness.incidents)
    (incident,) = door.witness.incidents
    assert incident.violation is Violation.PROTOCOL
    assert incident.detail == "the connection ends inside a message"
    assert [each.ended for each in door.store.receptions] == (
        ["abandoned"] if stage == "data set" else []
    )
    _works(rawsend, door, proxy, sent)


@pytest.mark.parametrize("deed", [Deed.CLOSE, Deed.RESET])
def test_a_peer_that_goes_between_messages_did_nothing_wrong(
    through: Callable[..., tuple[Door, Proxy]],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    deed: Deed,
) -> None:
    sent = instance(size=1_000)
    request = _stages(rawsend)["header"] - 3
    message = len(rawsend.message(3, 1, sent, 262_144))
    door, proxy = through(up=Fault(deed, request + message))
    link = rawsend.Association(proxy.address, BOTH, timeout=5)
    assert link.store(sent) == 0
    with link.socket, pytest.raises((rawsend.AssociationError, OSError)):
        link.store(sent)
    _until(lambda: door.store.transfers[0].closed == 1)
    assert door.witness.incidents == []
    _works(rawsend, door, proxy, instance("1.2.3.5"))


@pytest.mark.parametrize(
    "fault", [Fault(Deed.SILENCE), Fault(Deed.SLOW, interval=0.02)], ids=["stalls", "crawls"]
)
@pytest.mark.parametrize("stage", ["request", "command", "data set"])
def test_a_peer_that_stalls_or_crawls(
    through: Callable[..., tuple[Door, Proxy]],
    rawsend: ModuleType,
    instance: Callable[..., Any],
    stage: str,
    fault: Fault,
) -> None:
    at = Fault(fault.deed, _stages(rawsend)[stage], fault.interval)
    door, proxy = through(up=at, **QUICK)
    sent = instance(size=SIZE)
    ended: list[str] = []
    slow = threading.Thread(target=lambda: ended.append(_fails(rawsend, proxy, sent)))
    slow.start()
    assert proxy.struck.wait(5)
    began = time.monotonic()
    assert rawsend.send(door.address, [instance("1.2.3.9")]).statuses == [0]  # somebody honest
    assert time.monotonic() - began < 1
    slow.join()
    # AA-2 closes a connection without a request; within an association we abort as its user.
    assert ended[0] == ("closed" if stage == "request" else "aborted 0/0")
    _until(lambda: door.witness.incidents)
    assert {each.violation for each in door.witness.incidents} == {Violation.TOO_SLOW}
    assert [each.ended for each in door.store.receptions if each.sop_instance == "1.2.3.4"] == (
        ["abandoned"] if stage == "data set" else []
    )
    _works(rawsend, door, proxy, sent)


def test_a_slow_peer_in_time_is_served(
    through: Callable[..., tuple[Door, Proxy]], rawsend: ModuleType, instance: Callable[..., Any]
) -> None:
    door, proxy = through(up=Fault(Deed.SLOW, interval=0.0005))
    link = rawsend.Association(proxy.address, BOTH)
    assert link.store(instance(size=1_000)) == 0
    link.release()
    assert door.witness.incidents == []


def test_a_peer_that_reads_no_answers(
    through: Callable[..., tuple[Door, Proxy]], rawsend: ModuleType, instance: Callable[..., Any]
) -> None:
    door, proxy = through(down=Fault(Deed.SILENCE, 1_000), idle=1.0, **QUICK)
    link = rawsend.Association(proxy.address, BOTH, timeout=10)
    command = rawsend._command(
        rawsend._element(0x0002, rawsend._uid(VERIFICATION))
        + rawsend._element(0x0100, b"\x30\0")
        + rawsend._element(0x0110, b"\1\0")
        + rawsend._element(0x0800, b"\1\1")
    )
    echoes = rawsend._fragment(1, 3, command) * 1_000
    before, deadline = _resident(), time.monotonic() + 20
    with link.socket, contextlib.suppress(ConnectionError):  # we are cut off in the end
        while time.monotonic() < deadline:
            link.socket.sendall(echoes)
    assert time.monotonic() < deadline
    assert _resident() - before < 32 << 20
    _works(rawsend, door, proxy, instance())


def _resident() -> int:
    """Return this process's resident bytes; the server runs in it."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4_096
