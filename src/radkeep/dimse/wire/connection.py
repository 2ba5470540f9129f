# SPDX-License-Identifier: Apache-2.0
"""One association without its socket: bytes in, events out (PS3.8 Section 9.2).

Invariant: whatever bytes come, ``receive`` gives events or ``RemoteProtocolError``, keeps at most
``MAX_COMMAND`` of them, and judges a length by its six header bytes before anyone stores what
follows. Data set fragments are passed on as slices of the caller's buffer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from radkeep.dimse.wire import commands, pdu
from radkeep.dimse.wire.commands import MAX_COMMAND, Command
from radkeep.dimse.wire.errors import AbortReason, LocalProtocolError, RemoteProtocolError
from radkeep.dimse.wire.negotiation import UNLIMITED, Context
from radkeep.dimse.wire.pdu import (
    FRAGMENT,
    HEADER,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    PduType,
    ReleaseReply,
    ReleaseRequest,
)
from radkeep.dimse.wire.state import ARTIM_STATES, TABLE, Action, Machine, Role, State, Trigger

DEFAULT_MAX_LENGTH: Final = 262_144  # bytes we advertise; DCMTK and pynetdicom offer 16,382
MAX_ASSOCIATE: Final = 1 << 20  # bytes of an association PDU; 128 contexts of 60 syntaxes: 300 KiB
_MAX_SENT: Final = 131_072  # bytes of our own P-DATA-TF PDUs towards a peer without a limit
_PDV_HEADER: Final = 2  # bytes of a PDV's length that are context and control header
_SHORT: Final = 4  # bytes after the header of RJ, RELEASE and ABORT

_TRIGGERS: Final[Mapping[int, Trigger]] = {
    PduType.ASSOCIATE_RQ: Trigger.REQUEST_PDU,
    PduType.ASSOCIATE_AC: Trigger.ACCEPT_PDU,
    PduType.ASSOCIATE_RJ: Trigger.REJECT_PDU,
    PduType.DATA: Trigger.DATA_PDU,
    PduType.RELEASE_RQ: Trigger.RELEASE_REQUEST_PDU,
    PduType.RELEASE_RP: Trigger.RELEASE_REPLY_PDU,
    PduType.ABORT: Trigger.ABORT_PDU,
}
_REFUSALS: Final = frozenset({Action.AA_1, Action.AA_7, Action.AA_8})


@dataclass(frozen=True, slots=True)
class AssociateRequested:
    """The peer asks for an association: answer with ``accept`` or ``reject``."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateAnswered:
    """The peer accepted or rejected our request."""

    answer: AssociateAccept | AssociateReject


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A whole command; if it ``has_data_set``, ``DataReceived`` events follow."""

    context: Context
    command: Command


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of the data set that belongs to the last command; empty pieces occur."""

    data: memoryview  # a slice of what was given to ``receive``
    last: bool


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer wants to end the association: answer with ``confirm_release``."""


@dataclass(frozen=True, slots=True)
class Released:
    """The peer confirmed our release; close the transport unless a collision goes on."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The peer aborted; close the transport."""

    source: int
    reason: int


Event = (
    AssociateRequested
    | AssociateAnswered
    | CommandReceived
    | DataReceived
    | ReleaseRequested
    | Released
    | Aborted
)


class Connection:
    """The upper layer of one association, for either role."""

    def __init__(self, role: Role, *, max_length: int = DEFAULT_MAX_LENGTH) -> None:
        """Begin with an open transport; ``max_length`` is what we advertise, in bytes."""
        self._machine = Machine(role)
        self._max_length = max_length
        self._sent_length = _MAX_SENT  # of what we send; the peer's limit once it is known
        self._contexts: Mapping[int, Context] = {}
        self._deaf = False  # after a violation the PDU borders are lost: ignore the rest
        self._pdu_left = 0  # bytes of the current P-DATA-TF PDU not yet consumed
        self._pdv_left = 0  # bytes of the current fragment not yet consumed
        self._is_command = self._last = False
        self._command = bytearray()
        self._command_context = 0
        self._data_context = 0  # context of the data set that is due; 0: none is
        for trigger in (
            (Trigger.TRANSPORT_OPENED,)
            if role is Role.ACCEPTOR
            else (Trigger.ASSOCIATE_REQUEST, Trigger.TRANSPORT_CONFIRMED)
        ):
            self._machine.step(trigger)

    @property
    def state(self) -> State:
        """The state of PS3.8 Table 9-10."""
        return self._machine.state

    @property
    def artim_runs(self) -> bool:
        """Whether the association request/reject/release timer has to run."""
        return self._machine.state in ARTIM_STATES

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._pdu_left or self._command or self._data_context)

    @property
    def contexts(self) -> Mapping[int, Context]:
        """The accepted presentation contexts by identifier."""
        return self._contexts

    @property
    def sent_length(self) -> int:
        """The most bytes of a P-DATA-TF PDU that we send."""
        return self._sent_length

    def receive(self, data: memoryview, events: list[Event]) -> int:
        """Read ``data``, append what happened to ``events``, return the bytes consumed.

        What is not consumed has to be given again with more behind it. An association PDU is
        consumed whole, so the caller's buffer may have to grow to ``MAX_ASSOCIATE`` + 6 bytes.

        Raises:
            RemoteProtocolError: the peer broke the protocol. Send ``abort_for(error)``; events
                from before the fault are in ``events``; all later bytes are ignored.
        """
        position, end = 0, len(data)
        if self._ignores():
            return end
        while position < end:
            if self._pdv_left:
                position = self._fragment(data, position, end, events)
            elif self._pdu_left:
                if end - position < FRAGMENT.size:
                    break
                ended = self._fragment_header(*FRAGMENT.unpack_from(data, position))
                position += FRAGMENT.size
                if ended:
                    self._fragment(data, position, position, events)
            else:
                length = self._pdu(data, position, end, events)
                if not length:
                    break
                position += length
                if self._ignores():
                    return end
        return position

    def _ignores(self) -> bool:
        """Tell whether nothing that comes matters: all is said, or PDU borders are lost."""
        return self._deaf or self._machine.state is State.IDLE

    def _pdu(self, data: memoryview, start: int, end: int, events: list[Event]) -> int:
        """Begin a P-DATA-TF PDU or take another one whole; return its bytes, 0 if some lack."""
        if end - start < HEADER.size:
            return 0
        header: tuple[int, int] = HEADER.unpack_from(data, start)
        kind, length = header
        if kind == PduType.DATA and self._machine.state is State.ESTABLISHED:
            self._begin_data(length)  # DT-2 changes no state
            return HEADER.size
        if self._pdu_header(kind, length):
            return HEADER.size
        stop = start + HEADER.size + length
        if end < stop:
            return 0
        self._control(kind, bytes(data[stop - length : stop]), events)
        return stop - start

    def _pdu_header(self, kind: int, length: int) -> bool:
        """Judge a PDU by its header; True if its body is read as a stream."""
        trigger = _TRIGGERS.get(kind, Trigger.INVALID_PDU)
        action = self._machine.look(trigger)
        if trigger is Trigger.INVALID_PDU:
            raise RemoteProtocolError("unknown PDU type", AbortReason.UNRECOGNIZED_PDU)
        if action in _REFUSALS:
            raise RemoteProtocolError("a PDU out of turn", AbortReason.UNEXPECTED_PDU)
        if action is Action.AA_6:  # only the transport's end is awaited
            self._deaf = True
            return True
        if kind == PduType.DATA:
            self._machine.step(trigger)
            self._begin_data(length)
            return True
        limit = MAX_ASSOCIATE if kind <= PduType.ASSOCIATE_AC else _SHORT
        if length > limit:
            raise RemoteProtocolError("a PDU is longer than its type allows")
        return False

    def _begin_data(self, length: int) -> None:
        if not FRAGMENT.size <= length <= self._max_length:
            raise RemoteProtocolError("a P-DATA-TF PDU is not within the advertised maximum")
        self._pdu_left = length

    def _fragment_header(self, length: int, context_id: int, control: int) -> bool:
        """Begin a fragment (PS3.8 Annex E.2); True if it is empty and ends its message."""
        if length < _PDV_HEADER or length + 4 > self._pdu_left:
            raise RemoteProtocolError("a PDV's length contradicts its PDU")
        if context_id not in self._contexts:
            raise RemoteProtocolError("a PDV names a context that was not accepted")
        self._pdu_left -= FRAGMENT.size
        self._pdv_left = length - _PDV_HEADER
        self._is_command, self._last = bool(control & 1), bool(control & 2)
        if not self._is_command:
            if context_id != self._data_context:
                raise RemoteProtocolError("a data set without its command")
        elif self._data_context:
            raise RemoteProtocolError("a command inside a data set")
        elif self._command and context_id != self._command_context:
            raise RemoteProtocolError("two commands at once")
        elif len(self._command) + self._pdv_left > MAX_COMMAND:
            raise RemoteProtocolError("a command set is too long")
        else:
            self._command_context = context_id
        return self._last and not self._pdv_left

    def _fragment(self, data: memoryview, start: int, end: int, events: list[Event]) -> int:
        """Consume what is there of the current fragment; return the new position."""
        stop = min(end, start + self._pdv_left)
        self._pdv_left -= stop - start
        self._pdu_left -= stop - start
        ended = self._last and not self._pdv_left
        if not self._is_command:
            if ended:
                self._data_context = 0
            events.append(DataReceived(data[start:stop], ended))
            return stop
        self._command += data[start:stop]
        if ended:
            command = commands.decode(bytes(self._command))
            self._command.clear()
            if command.has_data_set:
                self._data_context = self._command_context
            events.append(CommandReceived(self._contexts[self._command_context], command))
        return stop

    def _control(self, kind: int, body: bytes, events: list[Event]) -> None:
        """Act on a PDU other than P-DATA-TF that the state allows."""
        value = pdu.decode(kind, body)
        self._machine.step(_TRIGGERS[kind])
        match value:
            case AssociateRequest():
                self._sent_length = _sendable(value.user.max_length)
                events.append(AssociateRequested(value))
            case AssociateAccept():
                self._sent_length = _sendable(value.user.max_length)
                events.append(AssociateAnswered(value))
            case AssociateReject():
                events.append(AssociateAnswered(value))
            case ReleaseRequest():
                events.append(ReleaseRequested())
            case ReleaseReply():
                events.append(Released())
            case Abort():
                events.append(Aborted(value.source, value.reason))
            case _:
                raise LocalProtocolError("P-DATA-TF is read as a stream")

    def request(self, request: AssociateRequest) -> bytes:
        """Return the request to send on a transport that we have just opened."""
        if self._machine.state is not State.AWAITING_ANSWER:
            raise LocalProtocolError("only a requestor may ask, and only once")
        return pdu.encode(request)

    def use(self, contexts: Mapping[int, Context]) -> None:
        """Set the contexts that the requestor's answer left."""
        self._contexts = contexts

    def accept(self, answer: AssociateAccept, contexts: Mapping[int, Context]) -> bytes:
        """Return the acceptance to send; ``contexts`` are those it accepts."""
        self._machine.step(Trigger.ACCEPT_RESPONSE)
        self._contexts = contexts
        return pdu.encode(answer)

    def reject(self, answer: AssociateReject) -> bytes:
        """Return the rejection to send; then wait for the peer to close, at most ARTIM long."""
        self._machine.step(Trigger.REJECT_RESPONSE)
        return pdu.encode(answer)

    def send_command(self, context_id: int, command: Command) -> bytes:
        """Return ``command`` as P-DATA-TF PDUs within the peer's maximum length."""
        self._machine.step(Trigger.DATA_REQUEST)
        payload = command.encode()
        return b"".join(
            pdu.fragments(context_id, payload, is_command=True, max_length=self._sent_length)
        )

    def sending(self) -> None:
        """Note that P-DATA-TF PDUs made elsewhere, within ``sent_length``, are sent now."""
        self._machine.step(Trigger.DATA_REQUEST)

    def send_data(self, context_id: int, data: bytes) -> bytes:
        """Return a whole data set as P-DATA-TF PDUs within the peer's maximum length."""
        self._machine.step(Trigger.DATA_REQUEST)
        return b"".join(
            pdu.fragments(context_id, data, is_command=False, max_length=self._sent_length)
        )

    def release(self) -> bytes:
        """Return the request to end the association."""
        self._machine.step(Trigger.RELEASE_REQUEST)
        return pdu.encode(ReleaseRequest())

    def confirm_release(self) -> bytes:
        """Return the answer to the peer's release request."""
        self._machine.step(Trigger.RELEASE_RESPONSE)
        return pdu.encode(ReleaseReply())

    def abort(self) -> bytes:
        """Return our own abort, or nothing where the table has no words: then just close."""
        if self._machine.state not in TABLE[Trigger.ABORT_REQUEST]:
            return b""
        self._machine.step(Trigger.ABORT_REQUEST)
        self._deaf = True
        return pdu.encode(Abort(source=0))

    def abort_for(self, error: RemoteProtocolError) -> bytes:
        """Return the abort that answers a violation (AA-1, AA-7 or AA-8)."""
        action = self._machine.step(Trigger.INVALID_PDU)
        self._deaf = True
        user = action is Action.AA_1  # Table 9-10 gives a stray first PDU to the service user
        return pdu.encode(Abort(source=0) if user else Abort(source=2, reason=error.reason))

    def artim_expired(self) -> None:
        """Note that the timer ran out: the transport has to be closed."""
        self._machine.step(Trigger.ARTIM_EXPIRED)

    def transport_closed(self) -> bool:
        """Note that the transport is gone; True if that cut an association short (AA-4)."""
        if self._machine.state is State.IDLE:
            return False
        return self._machine.step(Trigger.TRANSPORT_CLOSED) is Action.AA_4


def _sendable(peer: int) -> int:
    return _MAX_SENT if peer == UNLIMITED else min(peer, _MAX_SENT)
