# SPDX-License-Identifier: Apache-2.0
"""The keeper as a process: order, names, long events, babblers, a full disk."""

import resource
from pathlib import Path

import pytest
from app_keeper import DEADLINE, Kept, boot, keeping, reader

from radkeep.app import channel, keeper
from radkeep.app.audit_client import KeeperLog
from radkeep.app.boot import start
from radkeep.app.channel import Client, Message
from radkeep.app.trail import Asked, Told, ask_keeper
from radkeep.audit.events import MAX_EVENT_BYTES, Event, EventType
from radkeep.domain.errors import AuditUnavailableError, UnavailableError
from radkeep.testing.audit import sample_event


def event(number: int, *, text: str = "") -> Event:
    made = sample_event(number)
    return Event(
        event=made.event,
        time=made.time,
        actor_kind="system",
        actor_id=f"actor-{number}",
        detail={"text": text} if text else {},
    )


def test_names_come_from_the_channel_and_order_is_kept(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        dimse, web = kept.log("dimse"), kept.log("web")
        answers = []
        for number in range(50):
            answers += [dimse.submit([event(2 * number)]), web.submit([event(2 * number + 1)])]
        indices = [index for answer in answers for index in answer.result(DEADLINE)]
        assert sorted(indices) == list(range(100))
        entries = kept.entries()
        for name, rest in (("dimse", 0), ("web", 1)):
            mine = [entry.event.actor_id for entry in entries if entry.process == name]
            assert mine == [f"actor-{number}" for number in range(rest, 100, 2)]
        assert [entries[index].event.actor_id for index in indices[::2]] == [
            f"actor-{number}" for number in range(0, 100, 2)
        ]
        for client in kept.clients:
            client.close()
        kept.clients.clear()
        assert kept.stop() == 0


def test_any_number_and_length_of_events_is_taken(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        log = kept.log("web")
        many = [event(number, text="x" * 30_000) for number in range(20)]
        huge = event(99, text="é" * 400_000)
        broken = event(98, text="\ud800")
        indices = log.append(*many, huge, broken)
        assert indices == tuple(range(22))
        entries = kept.entries()
        assert [entry.event for entry in entries[:20]] == many
        assert entries[20].event.actor_id == "actor-99"
        assert entries[20].event.detail["clipped"] == "true"
        assert len(entries[20].event.detail["text"]) < MAX_EVENT_BYTES
        assert entries[21].event.actor_id == "actor-98"
        told = read_all(kept, count=7)
        assert [each.index for each in told] == list(range(22))
        assert [each.event for each in told[:20]] == many


def read_all(kept: Kept, *, count: int) -> list[Told]:
    """Read the whole log backward through the keeper."""
    read, found, before = ask_keeper(kept.client("web")), list[Told](), -1
    while before and (page := read(Asked(before, count))):
        assert len(page) <= count
        found[:0] = page
        before = page[0].index
    return found


def test_a_process_that_asks_and_dies_harms_nobody(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        for number in range(10):
            end = kept.end("dimse")
            message = Message(1, "append", channel.body([event(number)]))
            channel.send(end, message)
            channel.send(end, Message(2, "read", channel.body(Asked(-1, 5))))
            end.close()
        assert kept.log("web").append(event(10)) == (10,)
        assert kept.child.process.poll() is None
        assert len(kept.entries()) == 11


@pytest.mark.parametrize(
    "packet",
    [
        b"\xc1",
        b"garbage",
        bytes(channel.MAX_MESSAGE + 1),
        channel.body(Message(1, "append", channel.body("not events"))),
        channel.body(Message(1, "append", channel.body([{"event": "110112"}]))),
        channel.body(Message(1, "read", channel.body("no page"))),
    ],
    ids=["no-code", "garbage", "too-long", "no-list", "half-an-event", "no-page"],
)
def test_a_babbler_loses_its_channel_and_only_that(kept: Kept, packet: bytes) -> None:
    end, log = kept.end("dimse"), kept.log("web")
    before = len(kept.entries())
    end.send(packet)
    assert channel.receive(end) is None
    end.close()
    assert log.append(event(1)) == (before,)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory):  # noqa: ANN201 - a Kept
    with keeping(tmp_path_factory.mktemp("log")) as kept:
        yield kept


def test_a_full_disk_refuses_and_an_emptier_one_works_again(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        log, pid = kept.log("web"), kept.child.process.pid
        log.append(event(0))
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, hard))
        for number in range(1, 4):
            with pytest.raises(AuditUnavailableError):
                log.append(event(number, text="x" * 5000))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert log.append(event(4)) == (1,)
        assert [entry.event.actor_id for entry in kept.entries()] == ["actor-0", "actor-4"]


def test_when_the_keeper_dies_everyone_is_told(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        client = kept.client("web")
        log = KeeperLog(client)
        log.append(event(0))
        kept.child.process.kill()
        kept.child.process.wait(DEADLINE)
        with pytest.raises(AuditUnavailableError):
            log.append(event(1))
        with pytest.raises(UnavailableError):
            ask_keeper(client)(Asked(-1, 5))
        end, other = channel.pair()
        with pytest.raises(UnavailableError):
            keeper.give(kept.child.end, "web", other)
        end.close()
        other.close()


def test_a_keeper_whose_log_is_closed_stops(tmp_path: Path) -> None:
    ours, theirs = channel.pair()
    made = keeper.Keeper(theirs, boot(tmp_path))
    made._log.close()
    door, end = channel.pair()
    end.settimeout(0)
    group = [(end, "web", Message(1, "append", channel.body([event(0)])))]
    with pytest.raises(AuditUnavailableError):
        made._answer(group)
    answer = channel.receive(door)
    assert answer is not None
    assert answer.kind == "failed"
    made._selector.close()
    for each in (ours, theirs, door, end):
        each.close()


def test_a_log_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        kept.log("web").append(event(0))
    (tree,) = tmp_path.glob("*.tree")
    tree.write_bytes(b"\0" * tree.stat().st_size)
    child = start("keeper", boot(tmp_path))
    child.end.settimeout(DEADLINE)
    message = channel.receive(child.end)
    assert message is not None
    assert message.error
    assert child.process.wait(DEADLINE) == 1
    child.end.close()


def test_a_torn_tail_is_told_by_whoever_opens_the_log(tmp_path: Path) -> None:
    with keeper.open_log(boot(tmp_path), "keeper") as log:
        log.append([("web", event(0))])
    (tree,) = tmp_path.glob("*.tree")
    whole = tree.read_bytes()
    tree.write_bytes(whole + bytes(20))
    opened = keeper.open_log(boot(tmp_path), "command")
    cut = opened.cut
    opened.close()
    told = [entry for entry in reader(tmp_path).read() if entry.event.type is EventType.RECOVERED]
    assert cut == 1
    assert [entry.process for entry in told] == ["command"]
    assert told[0].event.detail["cut"].startswith("1 entries")


def test_an_empty_group_is_answered(tmp_path: Path) -> None:
    with keeping(tmp_path) as kept:
        client: Client = kept.client("web")
        answer = client.request("append", [])
        assert channel.decode(answer.result(DEADLINE), list[int]) == []
