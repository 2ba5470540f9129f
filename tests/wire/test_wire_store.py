# SPDX-License-Identifier: Apache-2.0
"""C-ECHO and C-STORE over a real socket with a foreign, raw peer."""

import dataclasses
import struct
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from radkeep.dimse.ports import Violation
from radkeep.domain.errors import ArchiveFullError, ForbiddenError, InstanceConflictError
from radkeep.testing.dimse import Door

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
EXPLICIT, CT = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
BOTH = [(VERIFICATION, IMPLICIT), (CT, EXPLICIT)]


def _until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for what other threads do after the answer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"


def test_echo(door: Door, rawsend: ModuleType, associate: Callable[..., Any]) -> None:
    link = associate(door, BOTH)
    assert link.echo() == 0
    assert link.echo() == 0
    link.release()


@pytest.mark.parametrize("size", [0, 1_000, 262_144, 3_000_000])
@pytest.mark.parametrize("max_pdu", [500, 16_384, 1 << 20])
def test_bytes_arrive_as_they_were(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], size: int, max_pdu: int
) -> None:
    if size > 1_000_000 and max_pdu == 500:
        pytest.skip("the same path as the smaller one")
    sent = instance(size=size)
    result = rawsend.send(door.address, [sent], calling="CT1", max_pdu=max_pdu)
    assert result.statuses == [0]
    (kept,) = door.store.kept
    assert kept.data == sent.data_set
    assert kept.transfer_syntax == EXPLICIT
    assert kept.actor.id == "CT1"
    assert kept.actor.address == "127.0.0.1"
    assert kept.actor.session
    _until(lambda: door.store.transfers[0].closed == 1)


@pytest.mark.parametrize("window", [1, 8])
def test_many_over_one_association(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], window: int
) -> None:
    sent = [instance(f"1.2.3.{n}", size=n * 977) for n in range(120)]
    result = rawsend.send(door.address, sent, window=window)
    assert result.window == window
    assert result.statuses == [0] * len(sent)
    assert [kept.data for kept in door.store.kept] == [i.data_set for i in sent]
    assert len(door.store.transfers) == 1


def test_backpressure_pauses_and_resumes(
    open_door: Callable[..., Door], rawsend: ModuleType, instance: Callable[..., Any]
) -> None:
    door = open_door(queued_per_association=100_000, queued=300_000, outstanding=3)
    sent = [instance(f"1.2.3.{n}", size=400_000) for n in range(20)]
    result = rawsend.send(door.address, sent, window=16)
    assert result.statuses == [0] * 20
    assert [kept.data for kept in door.store.kept] == [i.data_set for i in sent]


def test_outstanding_answers_wait_for_durability(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], associate: Callable[..., Any]
) -> None:
    door.store.open.clear()
    link = associate(door, BOTH, window=4)
    for n in range(3):
        one = instance(f"1.2.3.{n}")
        link.socket.sendall(rawsend.message(3, n + 1, one, link.max_pdu))
    assert link.echo() == 0  # is answered before, for nothing is durable yet
    assert door.store.kept == []
    door.store.open.set()
    assert [link.response()[0x0900] for _ in range(3)] == [b"\0\0"] * 3
    link.release()


def test_release_waits_for_the_answers(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], associate: Callable[..., Any]
) -> None:
    door.store.open.clear()
    link = associate(door, BOTH)
    link.socket.sendall(rawsend.message(3, 1, instance(), link.max_pdu))
    link.socket.sendall(b"\5\0\0\0\0\4\0\0\0\0")
    _until(lambda: door.store.receptions and door.store.receptions[0].ended)
    door.store.open.set()
    assert link.response()[0x0900] == b"\0\0"
    assert link.receive() == (6, bytes(4))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InstanceConflictError("other content"), 0xC010),
        (ArchiveFullError("no room"), 0xA700),
        (RuntimeError("a bug with a patient's name"), 0x0110),
    ],
)
def test_refusals_in_the_future(
    door: Door,
    rawsend: ModuleType,
    instance: Callable[..., Any],
    error: Exception,
    status: int,
    associate: Callable[..., Any],
) -> None:
    door.store.commit_error = error
    link = associate(door, BOTH)
    link.socket.sendall(rawsend.message(3, 1, instance(), link.max_pdu))
    answer = link.response()
    assert int.from_bytes(answer[0x0900], "little") == status
    assert b"patient" not in answer[0x0902]
    door.store.commit_error = None
    assert link.store(instance("1.2.5")) == 0  # the association lives on
    link.release()
    assert [kept.sop_instance for kept in door.store.kept] == ["1.2.5"]


def test_a_refusal_inside_the_data_set_drops_the_rest(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], associate: Callable[..., Any]
) -> None:
    door.store.feed_error = ForbiddenError("not permitted")
    link = associate(door, BOTH)
    assert link.store(instance(size=2_000_000)) == 0x0124
    door.store.feed_error = None
    assert link.store(instance("1.2.5")) == 0
    link.release()
    assert [kept.sop_instance for kept in door.store.kept] == ["1.2.5"]


def test_command_and_data_set_differ(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any]
) -> None:
    other = dataclasses.replace(instance("1.2.3"), sop_instance="1.2.99")
    assert rawsend.send(door.address, [other]).statuses == [0xA900]
    assert door.store.kept == []


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2 .3", "1" * 65, "1..2", "01.2"])
def test_illegal_uids(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], uid: str
) -> None:
    bad = dataclasses.replace(instance(), sop_instance=uid)
    assert rawsend.send(door.address, [bad]).statuses == [0xC001]
    assert door.store.kept == []


def test_a_command_without_its_instance(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any]
) -> None:
    nameless = dataclasses.replace(instance(), sop_instance="")
    assert rawsend.send(door.address, [nameless]).statuses == [0xC000]
    _until(lambda: door.witness.incidents)
    assert door.store.receptions == []


def test_a_command_without_its_data_set(
    door: Door, rawsend: ModuleType, associate: Callable[..., Any]
) -> None:
    link = associate(door, BOTH)
    elements = (
        rawsend._element(0x0002, rawsend._uid(CT))
        + rawsend._element(0x0100, b"\1\0")
        + rawsend._element(0x0110, b"\1\0")
        + rawsend._element(0x0800, b"\1\1")
        + rawsend._element(0x1000, rawsend._uid("1.2.3"))
    )
    link.socket.sendall(rawsend._fragment(3, 3, rawsend._command(elements)))
    assert link.response()[0x0900] == struct.pack("<H", 0xC000)
    link.release()
    assert door.store.kept == []


def test_storage_in_a_context_for_verification(
    door: Door, rawsend: ModuleType, instance: Callable[..., Any], associate: Callable[..., Any]
) -> None:
    link = associate(door, BOTH)
    link.socket.sendall(rawsend.message(1, 1, instance(), link.max_pdu))
    assert link.response()[0x0900] == struct.pack("<H", 0x0122)
    assert link.echo() == 0
    link.release()


def test_an_operation_we_do_not_know(
    door: Door, rawsend: ModuleType, associate: Callable[..., Any]
) -> None:
    link = associate(door, BOTH)
    elements = (
        rawsend._element(0x0100, b"\x40\x01")  # N-CREATE is 0140
        + rawsend._element(0x0110, b"\1\0")
        + rawsend._element(0x0800, b"\1\1")
    )
    link.socket.sendall(rawsend._fragment(3, 3, rawsend._command(elements)))
    assert link.response()[0x0900] == struct.pack("<H", 0x0211)
    assert link.echo() == 0
    link.release()


@pytest.mark.parametrize("how", ["vanish", "abort", "violate", "release"])
def test_nothing_half_stored(
    door: Door,
    rawsend: ModuleType,
    instance: Callable[..., Any],
    how: str,
    associate: Callable[..., Any],
) -> None:
    link = associate(door, BOTH)
    whole = rawsend.message(3, 1, instance(size=600_000), link.max_pdu)
    link.socket.sendall(whole[:-1_000] if how in ("vanish", "abort") else whole[: 2 * 262_150])
    if how == "vanish":
        link.socket.close()
    elif how == "abort":  # cannot be told from data inside a PDU: so it is data, then the end
        link.socket.sendall(b"\7\0\0\0\0\4\0\0\0\0")
        link.socket.close()
    else:
        first = rawsend.message(3, 1, instance(size=600_000), 16_384)
        link = associate(door, BOTH)
        link.socket.sendall(first[: 12 + len(_command_of(first)) + 3 * (16_384 + 6)])
        end = b"\7\0\0\0\0\4\0\0\0\0" if how == "violate" else b"\5\0\0\0\0\4\0\0\0\0"
        link.socket.sendall(end)
    _until(lambda: any(r.ended == "abandoned" for r in door.store.receptions))
    assert door.store.kept == []
    assert rawsend.send(door.address, [instance("1.2.6")]).statuses == [0]  # the next one works
    assert [kept.sop_instance for kept in door.store.kept] == ["1.2.6"]
    _until(lambda: all(t.closed == 1 for t in door.store.transfers[-1:]))


def _command_of(message: bytes) -> bytes:
    (length,) = struct.unpack_from(">I", message, 6)
    return message[12 : 10 + length]


def test_a_violation_is_aborted_and_recorded(
    door: Door, rawsend: ModuleType, associate: Callable[..., Any]
) -> None:
    link = associate(door, BOTH, calling="CT9")
    link.socket.sendall(b"\x09\0\0\0\0\4\0\0\0\0")
    with pytest.raises(rawsend.AssociationError, match="aborted 2/1"):
        link.receive()
    _until(lambda: door.witness.incidents)
    (incident,) = door.witness.incidents
    assert incident.violation is Violation.PROTOCOL
    assert incident.actor is not None
    assert incident.actor.id == "CT9"


def test_an_answer_comes_before_the_abort(
    door: Door, rawsend: ModuleType, associate: Callable[..., Any]
) -> None:
    link = associate(door, BOTH)
    elements = (
        rawsend._element(0x0002, rawsend._uid(VERIFICATION))
        + rawsend._element(0x0100, b"\x30\0")
        + rawsend._element(0x0110, b"\1\0")
        + rawsend._element(0x0800, b"\1\1")
    )
    echo = rawsend._fragment(1, 3, rawsend._command(elements))
    link.socket.sendall(echo + b"\x09\0\0\0\0\0")
    assert link.response()[0x0900] == b"\0\0"
    with pytest.raises(rawsend.AssociationError, match="aborted 2/1"):
        link.receive()
