# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets for ``dimse.wire``, which reads what strangers send.

Invariant tested: whatever bytes come, and however they are cut, an association gives the same
events or the same ``RemoteProtocolError``, never another error; it keeps at most ``MAX_COMMAND``
bytes; after a fault it has an A-ABORT to say and is deaf. Whatever decodes, encodes to bytes that
decode to the same value, and has an answer that a requestor can read.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from radkeep.dimse.wire import commands, pdu
from radkeep.dimse.wire.commands import MAX_COMMAND, RESPONSE_BIT, Command, CommandField, Element
from radkeep.dimse.wire.connection import Connection, DataReceived, Event
from radkeep.dimse.wire.errors import RemoteProtocolError
from radkeep.dimse.wire.items import (
    ContextResult,
    OperationsWindow,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from radkeep.dimse.wire.negotiation import Context, Offer, negotiate
from radkeep.dimse.wire.state import Role, State

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CONTEXTS: Final = {1: Context(1, CT, EXPLICIT), 3: Context(3, MR, IMPLICIT)}
REQUEST: Final = pdu.AssociateRequest(
    called="RADKEEP",
    calling="CT1",
    contexts=(
        ProposedContext(1, CT, (EXPLICIT, IMPLICIT)),
        ProposedContext(3, MR, (IMPLICIT,)),
        ProposedContext(5, "1.2.3", ()),
    ),
    user=UserInformation(
        max_length=16_384,
        implementation_class="1.2.3",
        implementation_version="FUZZ",
        window=OperationsWindow(0, 1),
        roles=(RoleSelection(CT, scu=True, scp=True),),
        extended=((CT, b"\1\0\1"),),
        common_extended=(b"\0\1a\0\1b\0\0",),
        identity=UserIdentity(2, response_requested=True, primary=b"me", secondary=b"word"),
    ),
)
ACCEPT: Final = pdu.AssociateAccept(
    called="RADKEEP",
    calling="CT1",
    contexts=(ContextResult(1, 0, EXPLICIT), ContextResult(3, 0, IMPLICIT)),
)
OFFER: Final = Offer(
    supports=lambda uid: uid.startswith("1.2.840."),
    supports_as_scu=lambda uid: uid == CT,
    max_length=262_144,
    window=16,
    implementation_class="1.2.3",
    implementation_version="FUZZ",
)
STORE: Final = Command(
    {
        Element.COMMAND_FIELD: CommandField.C_STORE,
        Element.MESSAGE_ID: 7,
        Element.PRIORITY: 0,
        Element.DATA_SET_TYPE: 1,
    },
    {Element.AFFECTED_SOP_CLASS: CT, Element.AFFECTED_SOP_INSTANCE: "1.2.3.4"},
)
_FRAMED_DATA: Final = 0x84  # in a framed stream: a P-DATA-TF PDU of one fragment


# --- where a stream begins ---


def _established(max_length: int = 4_096) -> Connection:
    connection = Connection(Role.ACCEPTOR, max_length=max_length)
    connection.receive(memoryview(pdu.encode(REQUEST)), [])
    connection.accept(ACCEPT, CONTEXTS)
    return connection


def _requesting() -> Connection:
    connection = Connection(Role.REQUESTOR)
    connection.request(REQUEST)
    return connection


def _requestor() -> Connection:
    connection = _requesting()
    connection.receive(memoryview(pdu.encode(ACCEPT)), [])
    connection.use(CONTEXTS)
    return connection


def _releasing() -> Connection:
    connection = _requestor()
    connection.release()
    return connection


def _in_data_set() -> Connection:
    connection = _established()
    command = pdu.fragments(1, STORE.encode(), is_command=True, max_length=4_096)
    connection.receive(memoryview(b"".join(command)), [])
    return connection


STARTS: Final[Sequence[Callable[[], Connection]]] = (
    lambda: Connection(Role.ACCEPTOR),
    _established,
    _in_data_set,
    _requesting,
    _requestor,
    _releasing,
)


# --- one stream ---


def check_stream(data: bytes) -> None:
    """Read one stream whole and in pieces, from one of the states it may meet."""
    if len(data) < 3:
        return
    start, step = STARTS[data[0] % len(STARTS)], data[1] % 61 + 1
    stream = framed(data[3:]) if data[2] & 1 else data[3:]
    whole = _listen(start(), [stream])
    pieces = _listen(start(), [stream[at : at + step] for at in range(0, len(stream), step)])
    assert whole == pieces


def framed(data: bytes) -> bytes:
    """Return PDUs with right lengths, so that a fuzzer need not find those: kind, length, body."""
    out, at = [], 0
    while at + 3 <= len(data):
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 3], "big") & 0xFFF
        body = data[at + 3 : at + 3 + length]
        at += 3 + length
        if kind == _FRAMED_DATA:
            head = pdu.FRAGMENT.pack(len(body) or 2, *(body[:2].ljust(2, b"\1")))
            kind, body = pdu.PduType.DATA, head + body[2:]
        out.append(pdu.HEADER.pack(kind, len(body)) + body)
    return b"".join(out)


def _listen(connection: Connection, pieces: Sequence[bytes]) -> list[object]:
    """Return what happened: events, joined data, the fault, the last state."""
    heard: list[object] = []
    kept = b""
    for piece in pieces:
        kept += piece
        events: list[Event] = []
        try:
            consumed = connection.receive(memoryview(kept), events)
        except RemoteProtocolError as error:
            _note(heard, events)
            answer = connection.abort_for(error)
            assert isinstance(pdu.decode(pdu.PduType.ABORT, answer[6:]), pdu.Abort)
            assert connection.state is State.CLOSING
            assert connection.receive(memoryview(b"more"), events) == 4
            return [*heard, str(error)]
        _note(heard, events)
        assert 0 <= consumed <= len(kept)
        assert len(connection._command) <= MAX_COMMAND
        kept = kept[consumed:]
    return [*heard, connection.state, connection.in_message]


def _note(heard: list[object], events: list[Event]) -> None:
    for event in events:
        if not isinstance(event, DataReceived):
            heard.append(event)
        elif heard and isinstance(heard[-1], bytearray):
            heard[-1] += event.data
        else:
            heard.append(bytearray(event.data))
        if isinstance(event, DataReceived) and event.last:
            heard.append("end")


# --- one PDU, one command ---


def check_pdu(data: bytes) -> None:
    """Decode one body as each type it may have; what decodes comes back from its encoding."""
    if not data:
        return
    try:
        value = pdu.decode(data[0] % 9, data[1:])
    except RemoteProtocolError:
        return
    association = isinstance(value, pdu.AssociateRequest | pdu.AssociateAccept)
    if association and not value.application_context:
        return  # left out by the peer: we read that, refuse it, and never write it
    encoded = pdu.encode(value)
    assert pdu.decode(encoded[0], encoded[6:]) == value
    if isinstance(value, pdu.AssociateRequest):
        _answer(value)


def _answer(request: pdu.AssociateRequest) -> None:
    accept, contexts = negotiate(request, OFFER)
    answer = pdu.encode(accept)
    read = pdu.decode(answer[0], answer[6:])
    assert isinstance(read, pdu.AssociateAccept)
    assert [c.id for c in read.contexts] == [c.id for c in request.contexts]
    proposed = {context.id: context for context in request.contexts}
    for context in contexts.values():
        assert context.transfer_syntax in proposed[context.id].transfer_syntaxes
    asked = {(role.sop_class, role.scu, role.scp) for role in request.user.roles}
    for role in read.user.roles:
        assert any(
            uid == role.sop_class and role.scu <= scu and role.scp <= scp for uid, scu, scp in asked
        )


def check_command(data: bytes) -> None:
    """Decode one command set, and answer it."""
    try:
        command = commands.decode(data)
    except RemoteProtocolError:
        return
    assert commands.decode(command.encode()) == command
    assert isinstance(command.has_data_set, bool)
    assert 0 <= command.message_id <= 0xFFFF
    if not command.field & RESPONSE_BIT:
        answer = commands.response(command, 0x0110, comment="why")
        read = commands.decode(answer.encode())
        assert (read.message_id, read.status) == (command.message_id, 0x0110)


# --- seeds ---


def seeds_of_streams(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield whole associations, raw and framed."""
    store = STORE.encode()
    message = b"".join(
        (
            *pdu.fragments(1, store, is_command=True, max_length=64),
            *pdu.fragments(1, bytes(range(200)), is_command=False, max_length=64),
        )
    )
    release = pdu.encode(pdu.ReleaseRequest())
    for first, stream in (
        (0, pdu.encode(REQUEST)),
        (0, pdu.encode(REQUEST) + release),
        (1, message * 2 + release),
        (1, message + pdu.encode(pdu.Abort(0))),
        (2, message[-100:]),
        (3, pdu.encode(ACCEPT)),
        (3, pdu.encode(pdu.AssociateReject(1, 1, 3))),
        (4, message),
        (5, pdu.encode(pdu.ReleaseReply())),
        (5, release + pdu.encode(pdu.ReleaseReply())),
    ):
        yield bytes((first, 16, 0)) + stream
    piece = b"\1\3" + store
    framed_store = bytes((_FRAMED_DATA,)) + len(piece).to_bytes(2, "big") + piece
    framed_data = bytes((_FRAMED_DATA,)) + b"\0\6\1\2data"
    yield bytes((1, 5, 1)) + framed_store + framed_data + b"\5\0\4\0\0\0\0"


def seeds_of_pdus(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield one PDU of each type."""
    value = pdu.PresentationData(1, is_command=True, last=True, value=b"abc")
    for each in (
        REQUEST,
        ACCEPT,
        pdu.AssociateReject(1, 1, 3),
        pdu.DataTransfer((value, value)),
        pdu.ReleaseRequest(),
        pdu.ReleaseReply(),
        pdu.Abort(2, 6),
    ):
        encoded = pdu.encode(each)
        yield encoded[:1] + encoded[6:]


def seeds_of_commands(_: Sequence[Path]) -> Iterator[bytes]:
    """Yield a request, its answer and a cancel."""
    yield STORE.encode()
    yield commands.response(STORE, 0xA700, comment="no room").encode()
    yield Command(
        {Element.COMMAND_FIELD: CommandField.C_CANCEL, Element.MESSAGE_ID_RESPONDED_TO: 7}, {}
    ).encode()
    yield Command(
        {
            Element.COMMAND_FIELD: CommandField.C_MOVE,
            Element.MESSAGE_ID: 1,
            Element.DATA_SET_TYPE: 1,
        },
        {Element.AFFECTED_SOP_CLASS: CT, Element.MOVE_DESTINATION: "WORKSTATION"},
    ).encode()
