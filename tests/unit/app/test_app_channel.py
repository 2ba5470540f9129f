# SPDX-License-Identifier: Apache-2.0
"""Messages between our own processes: whole or refused, and nobody waits for the dead."""

import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.app import channel
from radkeep.app.channel import MAX_MESSAGE, Client, Message
from radkeep.archive.keyring import STUDY, new_key
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import IntegrityError, TooLargeError, UnavailableError

DEADLINE = 10.0  # seconds


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    made = channel.pair()
    yield made
    for end in made:
        end.close()


def overhead() -> int:
    return len(msgspec.msgpack.encode(Message(1, "x", channel.body(bytes(MAX_MESSAGE))))) - (
        MAX_MESSAGE
    )


def test_a_message_arrives_as_it_was(ends: tuple[socket.socket, socket.socket]) -> None:
    channel.send(ends[0], Message(7, "append", channel.body(["a", 1]), error="e"))
    got = channel.receive(ends[1])
    assert got is not None
    assert (got.id, got.kind, got.error) == (7, "append", "e")
    assert channel.decode(got.body, list) == ["a", 1]


def test_the_longest_message_arrives_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    content = bytes(range(256)) * (MAX_MESSAGE // 256)
    content = content[: MAX_MESSAGE - overhead()]
    channel.send(ends[0], Message(1, "x", channel.body(content)))
    got = channel.receive(ends[1])
    assert got is not None
    assert channel.decode(got.body, bytes) == content


def test_a_longer_one_is_refused_and_the_channel_lives(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    with pytest.raises(TooLargeError):
        channel.send(ends[0], Message(1, "x", channel.body(bytes(MAX_MESSAGE - overhead() + 1))))
    channel.send(ends[0], Message(2, "y"))
    got = channel.receive(ends[1])
    assert got is not None
    assert got.id == 2


def test_a_longer_packet_of_a_stranger_is_never_taken_in_part(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    packet = msgspec.msgpack.encode(Message(1, "x", channel.body(bytes(MAX_MESSAGE))))
    ends[0].send(packet)
    with pytest.raises(IntegrityError):
        channel.receive(ends[1])


def test_a_whole_message_with_something_behind_it_is_not_one(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    content = bytes(MAX_MESSAGE - overhead())
    longest = msgspec.msgpack.encode(Message(1, "x", channel.body(content)))
    assert len(longest) == MAX_MESSAGE
    ends[0].send(longest + b"\xc0")
    with pytest.raises(IntegrityError):
        channel.receive(ends[1])


@given(packet=st.binary(min_size=1, max_size=200))
def test_any_packet_is_a_message_or_our_error(packet: bytes) -> None:
    ends = channel.pair()
    try:
        ends[0].send(packet)
        assert isinstance(channel.receive(ends[1]), Message)
    except IntegrityError:
        pass
    finally:
        for end in ends:
            end.close()


def test_the_end_of_the_peer_is_none(ends: tuple[socket.socket, socket.socket]) -> None:
    channel.send(ends[0], Message(1, "last"))
    ends[0].close()
    got = channel.receive(ends[1])
    assert got is not None
    assert channel.receive(ends[1]) is None
    with pytest.raises(UnavailableError):
        channel.send(ends[1], Message(1, "x"))


def test_answers_find_their_requests_in_any_order(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client = Client(ends[0], "test")
    answers = [client.request("double", number) for number in range(5)]
    asked = [channel.receive(ends[1]) for _ in answers]
    for message in reversed(asked):
        assert message is not None
        number = channel.decode(message.body, int)
        channel.send(ends[1], Message(message.id, "doubled", channel.body(2 * number)))
    assert [channel.decode(answer.result(DEADLINE), int) for answer in answers] == [0, 2, 4, 6, 8]
    client.close()


def test_an_answer_may_be_a_failure(ends: tuple[socket.socket, socket.socket]) -> None:
    client = Client(ends[0], "test")
    answer = client.request("x", None)
    message = channel.receive(ends[1])
    assert message is not None
    channel.send(ends[1], Message(99, "nobody asked"))
    channel.send(ends[1], Message(message.id, "failed", error="no room"))
    with pytest.raises(UnavailableError, match="no room"):
        answer.result(DEADLINE)
    client.close()


def test_a_dead_peer_fails_every_waiting_request(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, gone = Client(ends[0], "test"), threading.Event()
    client.when_gone(gone.set)
    assert client.is_alive()
    answers = [client.request("x", number) for number in range(20)]
    ends[1].close()
    for answer in answers:
        assert isinstance(answer.exception(DEADLINE), UnavailableError)
    assert gone.wait(DEADLINE)
    assert not client.is_alive()
    assert isinstance(client.request("x", None).exception(0), UnavailableError)
    with pytest.raises(UnavailableError):
        client.notify("x", None)
    late = threading.Event()
    client.when_gone(late.set)
    assert late.is_set()
    client.close()


def test_requests_and_the_end_of_the_peer_may_cross() -> None:
    for _ in range(30):
        ours, theirs = channel.pair()
        client = Client(ours, "test")
        closer = threading.Thread(target=theirs.close)
        closer.start()
        answers = [client.request("x", number) for number in range(30)]
        closer.join()
        for answer in answers:
            assert isinstance(answer.exception(DEADLINE), UnavailableError)
        client.close()


def test_a_babbling_peer_fails_every_waiting_request(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client = Client(ends[0], "test")
    answer = client.request("x", None)
    ends[1].send(b"\xc1 is no message")
    assert isinstance(answer.exception(DEADLINE), UnavailableError)
    client.close()


def test_a_request_that_is_too_long_fails_alone(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client = Client(ends[0], "test")
    assert isinstance(client.request("x", bytes(MAX_MESSAGE)).exception(0), TooLargeError)
    answer = client.request("y", None)
    message = channel.receive(ends[1])
    assert message is not None
    channel.send(ends[1], Message(message.id, "done"))
    answer.result(DEADLINE)
    client.close()


def test_hanging_up_fails_what_waits(ends: tuple[socket.socket, socket.socket]) -> None:
    client = Client(ends[0], "test")
    answer = client.request("x", None)
    client.close()
    assert isinstance(answer.exception(0), UnavailableError)


def test_a_batch_of_study_keys_fits_in_one_message() -> None:
    parent = (bytes(16), bytes(32))
    entries = [
        new_key(parent, label=STUDY, organization="f" * 32, clock=SystemClock())[0]
        for _ in range(256)
    ]
    assert len(channel.body(entries)) < MAX_MESSAGE * 3 // 4
