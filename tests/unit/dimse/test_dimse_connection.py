# SPDX-License-Identifier: Apache-2.0
"""The sans-IO connection: however bytes are cut the events are the same, and none can break it."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.dimse.wire import pdu
from radkeep.dimse.wire.commands import Command, CommandField, Element
from radkeep.dimse.wire.connection import (
    MAX_ASSOCIATE,
    Aborted,
    AssociateAnswered,
    AssociateRequested,
    CommandReceived,
    Connection,
    DataReceived,
    Event,
    Released,
    ReleaseRequested,
)
from radkeep.dimse.wire.errors import AbortReason, LocalProtocolError, RemoteProtocolError
from radkeep.dimse.wire.items import ContextResult, ProposedContext
from radkeep.dimse.wire.negotiation import Context
from radkeep.dimse.wire.state import Role, State

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
CONTEXTS = {1: Context(1, CT, EXPLICIT), 3: Context(3, CT, EXPLICIT)}
REQUEST = pdu.AssociateRequest(
    called="RADKEEP", calling="CT1", contexts=(ProposedContext(1, CT, (EXPLICIT,)),)
)
ACCEPT = pdu.AssociateAccept(
    called="RADKEEP", calling="CT1", contexts=(ContextResult(1, 0, EXPLICIT),)
)


def _store(message_id: int = 1) -> Command:
    return Command(
        {
            Element.COMMAND_FIELD: CommandField.C_STORE,
            Element.MESSAGE_ID: message_id,
            Element.DATA_SET_TYPE: 1,
        },
        {Element.AFFECTED_SOP_CLASS: CT, Element.AFFECTED_SOP_INSTANCE: "1.2.3"},
    )


def _established(max_length: int = 262_144) -> Connection:
    connection = Connection(Role.ACCEPTOR, max_length=max_length)
    events: list[Event] = []
    connection.receive(memoryview(pdu.encode(REQUEST)), events)
    assert events == [AssociateRequested(REQUEST)]
    connection.accept(ACCEPT, CONTEXTS)
    return connection


def _data(*values: pdu.PresentationData) -> bytes:
    return pdu.encode(pdu.DataTransfer(values))


def _message(data: bytes, *, room: int = 64, context: int = 1) -> bytes:
    command = _store().encode()
    return b"".join(
        (
            *pdu.fragments(context, command, is_command=True, max_length=room),
            *pdu.fragments(context, data, is_command=False, max_length=room),
        )
    )


def _drive(connection: Connection, stream: bytes, cuts: list[int]) -> list[tuple[str, object]]:
    """Feed ``stream`` in pieces, keeping what is not consumed; join neighbouring data."""
    seen: list[tuple[str, object]] = []
    kept = b""
    borders = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, stop in pairwise(borders):
        kept += stream[start:stop]
        events: list[Event] = []
        consumed = connection.receive(memoryview(kept), events)
        kept = kept[consumed:]
        for event in events:
            if isinstance(event, DataReceived):
                piece, last = bytes(event.data), event.last
                if seen and seen[-1][0] == "data":
                    piece = seen.pop()[1] + piece
                seen.append(("end" if last else "data", piece))
            else:
                seen.append((type(event).__name__, event))
    assert not kept
    return seen


@given(st.binary(max_size=400), st.integers(30, 300), st.lists(st.integers(0, 10_000), max_size=12))
def test_cuts_do_not_matter(data: bytes, room: int, cuts: list[int]) -> None:
    stream = _message(data, room=room) * 2 + pdu.encode(pdu.ReleaseRequest())
    seen = _drive(_established(), stream, cuts)
    command = CommandReceived(CONTEXTS[1], _store())
    one = [("CommandReceived", command), ("end", data)]
    assert seen == [*one, *one, ("ReleaseRequested", ReleaseRequested())]


@settings(max_examples=300)
@given(chunks=st.lists(st.binary(max_size=60), max_size=6), late=st.booleans())
def test_any_bytes_give_events_or_our_error(chunks: list[bytes], *, late: bool) -> None:
    connection = _established() if late else Connection(Role.ACCEPTOR)
    _survives(connection, chunks)


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_stream_gives_events_or_our_error(data: st.DataObject) -> None:
    stream = bytearray(_message(b"x" * 100) + pdu.encode(pdu.ReleaseRequest()))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    _survives(_established(), [bytes(stream)])


def _survives(connection: Connection, chunks: list[bytes]) -> None:
    kept = b""
    for chunk in chunks:
        kept += chunk
        try:
            consumed = connection.receive(memoryview(kept), [])
        except RemoteProtocolError as error:
            answer = connection.abort_for(error)
            break
        assert 0 <= consumed <= len(kept)
        kept = kept[consumed:]
    else:
        return
    assert answer[0] == pdu.PduType.ABORT
    assert connection.state is State.CLOSING
    assert connection.receive(memoryview(b"anything"), []) == 8


@pytest.mark.parametrize("length", [262_145, 0xFFFFFFFF])
def test_an_oversized_pdu_is_refused_by_its_header(length: int) -> None:
    header = struct.pack(">BxI", 4, length)
    with pytest.raises(RemoteProtocolError, match="maximum"):
        _established().receive(memoryview(header), [])


@pytest.mark.parametrize(
    ("kind", "length"), [(1, MAX_ASSOCIATE + 1), (1, 0xFFFFFFF0), (7, 5), (7, 0xFFFFFFFF)]
)
def test_an_oversized_first_pdu_is_refused_by_its_header(kind: int, length: int) -> None:
    with pytest.raises(RemoteProtocolError):
        Connection(Role.ACCEPTOR).receive(memoryview(struct.pack(">BxI", kind, length)), [])


@pytest.mark.parametrize(
    ("first", "source"),
    [
        (pdu.ReleaseRequest(), 0),  # Sta2 has AA-1: service user
        (pdu.DataTransfer(()), 0),
    ],
)
def test_a_stray_first_pdu_is_aborted(first: pdu.Pdu, source: int) -> None:
    connection = Connection(Role.ACCEPTOR)
    with pytest.raises(RemoteProtocolError) as caught:
        connection.receive(memoryview(pdu.encode(first)), [])
    assert caught.value.reason is AbortReason.UNEXPECTED_PDU
    assert connection.abort_for(caught.value) == pdu.encode(pdu.Abort(source, 0))


def test_an_unknown_pdu_is_aborted_as_unrecognized() -> None:
    connection = _established()
    with pytest.raises(RemoteProtocolError) as caught:
        connection.receive(memoryview(b"\x09\0\0\0\0\4"), [])
    assert connection.abort_for(caught.value) == pdu.encode(pdu.Abort(2, 1))


def _fragment(
    context: int = 1, *, command: bool = False, last: bool = True, value: bytes = b""
) -> pdu.PresentationData:
    return pdu.PresentationData(context, command, last, value)


COMMAND = _fragment(command=True, value=_store().encode())


@pytest.mark.parametrize(
    "stream",
    [
        _data(_fragment(value=b"data")),  # no command before it
        _data(COMMAND, _fragment(3, value=b"data")),  # another context
        _data(COMMAND, COMMAND),  # a command where the data set is due
        _data(_fragment(5, command=True)),  # a context that was not accepted
        _data(_fragment(command=True, last=False, value=b"x"), _fragment(3, command=True)),
        _data(_fragment(command=True, value=b"garbage!")),
        pdu.HEADER.pack(4, 6) + pdu.FRAGMENT.pack(1, 1, 3),  # PDV too short
        pdu.HEADER.pack(4, 6) + pdu.FRAGMENT.pack(3, 1, 3),  # PDV longer than its PDU
        pdu.HEADER.pack(4, 5),
        pdu.encode(REQUEST),
        b"".join([_data(_fragment(command=True, last=False, value=bytes(200)))] * 400),  # 80 KB
    ],
)
def test_broken_messages_are_refused(stream: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        _established().receive(memoryview(stream), [])


def test_events_before_a_fault_are_kept() -> None:
    events: list[Event] = []
    with pytest.raises(RemoteProtocolError):
        _established().receive(memoryview(_message(b"abc") + b"\x09\0\0\0\0\0"), events)
    assert [type(event) for event in events] == [CommandReceived, DataReceived]


def test_data_is_a_slice_and_not_a_copy() -> None:
    buffer = bytearray(_data(COMMAND, _fragment(value=b"0123456789")))
    events: list[Event] = []
    _established().receive(memoryview(buffer), events)
    piece = events[-1]
    assert isinstance(piece, DataReceived)
    buffer[-1:] = b"!"
    assert bytes(piece.data) == b"012345678!"


def test_an_abort_ends_it_and_the_rest_is_ignored() -> None:
    events: list[Event] = []
    connection = _established()
    stream = pdu.encode(pdu.Abort(2, 6)) + b"whatever follows"
    assert connection.receive(memoryview(stream), events) == len(stream)
    assert events == [Aborted(2, 6)]
    assert connection.state is State.IDLE
    assert connection.abort() == b""
    assert not connection.transport_closed()


def test_both_roles_speak_to_each_other() -> None:
    client, server = Connection(Role.REQUESTOR), Connection(Role.ACCEPTOR)
    events: list[Event] = []
    server.receive(memoryview(client.request(REQUEST)), events)
    client.receive(memoryview(server.accept(ACCEPT, CONTEXTS)), events)
    client.use(CONTEXTS)
    server.receive(memoryview(client.send_command(1, _store(7))), events)
    server.receive(memoryview(client.send_data(1, b"data set")), events)
    server.receive(memoryview(client.release()), events)
    client.receive(memoryview(server.confirm_release()), events)
    kinds = [type(event) for event in events]
    assert kinds == [
        AssociateRequested,
        AssociateAnswered,
        CommandReceived,
        DataReceived,
        ReleaseRequested,
        Released,
    ]
    assert server.artim_runs
    assert client.state is State.IDLE
    assert not server.transport_closed()


def test_rejection_is_the_last_word() -> None:
    client, server = Connection(Role.REQUESTOR), Connection(Role.ACCEPTOR)
    events: list[Event] = []
    server.receive(memoryview(client.request(REQUEST)), events)
    client.receive(memoryview(server.reject(pdu.AssociateReject(1, 1, 3))), events)
    assert events[-1] == AssociateAnswered(pdu.AssociateReject(1, 1, 3))
    assert (client.state, server.state) == (State.IDLE, State.CLOSING)
    server.artim_expired()
    assert server.state is State.IDLE


def test_a_vanished_peer_cuts_an_association_short() -> None:
    assert _established().transport_closed()
    assert not Connection(Role.ACCEPTOR).transport_closed()


def test_misuse_is_our_bug() -> None:
    with pytest.raises(LocalProtocolError):
        Connection(Role.ACCEPTOR).send_command(1, _store())
    with pytest.raises(LocalProtocolError):
        _established().request(REQUEST)


def test_commands_fit_the_peers_maximum() -> None:
    request = pdu.AssociateRequest(
        called="A", calling="B", contexts=REQUEST.contexts, user=pdu.UserInformation(max_length=20)
    )
    connection = Connection(Role.ACCEPTOR)
    connection.receive(memoryview(pdu.encode(request)), [])
    connection.accept(ACCEPT, CONTEXTS)
    sent = connection.send_command(1, _store())
    while sent:
        _, length = pdu.HEADER.unpack_from(sent)
        assert length <= 20
        sent = sent[6 + length :]
