# SPDX-License-Identifier: Apache-2.0
"""One TCP connection: its life from first byte to last.

Invariant: after its last word a connection has given everything back and reads only to notice
that the peer closes.
"""

import asyncio
import socket
from collections.abc import Sequence
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol, cast

from typing_extensions import override

from radkeep.dimse.association import Association
from radkeep.dimse.buffers import Segment, SegmentPool
from radkeep.dimse.courier import Finished, Outgoing
from radkeep.dimse.inbox import Inbox
from radkeep.dimse.ports import Violation
from radkeep.dimse.settings import SEGMENT, DimseSettings
from radkeep.dimse.store_scp import Note
from radkeep.dimse.wire.connection import (
    Aborted,
    AssociateRequested,
    CommandReceived,
    Connection,
    DataReceived,
    Event,
    ReleaseRequested,
)
from radkeep.dimse.wire.errors import RemoteProtocolError
from radkeep.dimse.wire.pdu import AssociateReject, AssociateRequest
from radkeep.dimse.wire.state import Role

_SINK: Final = memoryview(bytearray(SEGMENT))  # what nobody reads any more ends here, from all


class Phase(Enum):
    """Where a connection stands; each has its own limit and deadline."""

    SILENT = auto()  # no byte yet
    HALF_OPEN = auto()  # request not complete, or not decided
    ASSOCIATED = auto()
    CLOSING = auto()  # our last word is said


class Host(Protocol):
    """What a channel asks of the server."""

    settings: DimseSettings
    pool: SegmentPool

    def now(self) -> float:
        """Return the loop's time in seconds."""
        ...

    def entered(self, channel: "Channel", phase: Phase) -> None:
        """Count ``channel`` in its new phase; somebody may have to leave for it."""
        ...

    def left(self, channel: "Channel") -> None:
        """Forget ``channel``."""
        ...

    def asked(self, channel: "Channel", request: AssociateRequest) -> None:
        """Decide about ``request`` and call ``establish`` or ``reject``, now or later."""
        ...

    def grew(self, channel: "Channel", extra: int) -> None:
        """Count ``extra`` bytes of request buffer; somebody may have to leave."""
        ...

    def queued(self) -> int:
        """Return the bytes of all associations that ingest has not taken yet."""
        ...

    def violated(self, channel: "Channel", violation: Violation, detail: str) -> None:
        """Keep the record of a violation."""
        ...


class Channel(asyncio.BufferedProtocol):
    """Moves bytes between a transport and the sans-IO connection."""

    def __init__(self, host: Host) -> None:
        self.phase = Phase.SILENT
        self.since = host.now()  # when the phase began
        self.address = ""
        self.session = ""
        self.certificate = ""  # SHA-256 of the one that TLS has verified, hexadecimal
        self.association: Association | None = None
        self._host = host
        self._connection = Connection(Role.ACCEPTOR, max_length=host.settings.max_length)
        self._transport: asyncio.Transport | None = None
        self._inbox = Inbox(host.pool, grew=partial(host.grew, self), give_back=self._give_back)
        self._paused_at: float | None = None
        self._writable = True

    # --- asyncio ---

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:  # answers are small; Nagle costs 40 ms each
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        self._host.entered(self, Phase.SILENT)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        unfinished = self._inbox.waits or self._connection.in_message
        if unfinished and self.phase is not Phase.CLOSING:
            self._host.violated(self, Violation.PROTOCOL, "the connection ends inside a message")
        self._connection.transport_closed()
        if self.association is not None:
            self.association.end()
        self._inbox.clear()
        self._host.left(self)

    @override
    def eof_received(self) -> bool:
        return False  # half-closed peers cannot hear an answer: close

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        if self.phase is Phase.CLOSING:
            return _SINK
        return self._inbox.room(
            associated=self.association is not None, in_message=self._connection.in_message
        )

    @override
    def buffer_updated(self, nbytes: int) -> None:
        if self.phase is Phase.CLOSING:
            return
        self.stirred()
        events: list[Event] = []
        waiting = self._inbox.waiting(nbytes)
        try:
            consumed = self._connection.receive(waiting, events)
            self._inbox.consume(consumed, lent=len(events) > 0)
        except RemoteProtocolError as error:
            self._inbox.consume(0, lent=True)
            self._handle(events)
            self._violate(error)
        else:
            self._handle(events)
        self._settle()

    @override
    def pause_writing(self) -> None:
        self._writable = False
        self._throttle()

    @override
    def resume_writing(self) -> None:
        self._writable = True
        if self.association is not None:
            self.association.drained(self._host.now())
        self._throttle()

    # --- events ---

    def _handle(self, events: list[Event]) -> None:
        try:
            for event in events:
                if type(event) is DataReceived and self.association is not None:
                    self.association.data(event)
                else:
                    self._handle_one(event)
        except RemoteProtocolError as error:
            self._violate(error)

    def _handle_one(self, event: Event) -> None:
        match event:
            case DataReceived():
                pass  # nobody wants it any more
            case CommandReceived():
                if self.association is not None:
                    self.association.command(event, self._host.now())
            case AssociateRequested():
                self._host.asked(self, event.request)
            case ReleaseRequested():
                if self.association is not None:
                    self.association.release_requested()
            case Aborted():
                self.close()
            case _:  # an acceptor never asked, so nobody can answer
                raise RemoteProtocolError("an answer to nothing")

    def _violate(self, error: RemoteProtocolError) -> None:
        """Answer a violation as PS3.8 says and let everything go."""
        if self.phase is not Phase.CLOSING:
            self.flush()  # what was right before the fault is answered
        if self.phase is Phase.CLOSING:
            return
        self._host.violated(self, Violation.PROTOCOL, str(error))
        self._last_word(self._connection.abort_for(error))

    def _settle(self) -> None:
        """Give back what is not needed until the next bytes, and hand on what has come."""
        association = self.association
        if self.phase is Phase.CLOSING:
            return
        self._inbox.settle(keep=self._connection.in_message)
        if association is not None:
            association.after_read(self._host.now())
            self._throttle()

    # --- for the server ---

    def stirred(self) -> None:
        """Note that the peer has sent something, be it the first byte of a TLS handshake."""
        if self.phase is Phase.SILENT:
            self._enter(Phase.HALF_OPEN)

    def establish(self, association: Association, answer: bytes) -> None:
        """Send the acceptance; from now on ``association`` gets the events."""
        self.association = association
        self._enter(Phase.ASSOCIATED)
        self.write(answer)

    def reject(self, answer: AssociateReject) -> None:
        """Send a rejection and wait for the peer to close."""
        self._last_word(self._connection.reject(answer))

    def released(self) -> None:
        """Confirm the peer's release and wait for it to close."""
        self._last_word(self._connection.confirm_release())

    def abort(self) -> None:
        """Send an A-ABORT where the state allows one, else just close."""
        answer = self._connection.abort()
        if answer:
            self._last_word(answer)
        else:
            self.close()

    def close(self) -> None:
        """Close the transport after what is written."""
        self.phase = Phase.CLOSING
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close the transport at once, without a word."""
        self.phase = Phase.CLOSING
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send ``data`` if the transport still lives."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_all(self, buffers: Sequence[bytes | memoryview]) -> bool:
        """Send ``buffers`` without copying them; False if the transport is full for now."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.writelines(buffers)
        return self._writable

    @property
    def connection(self) -> Connection:
        """The protocol's state."""
        return self._connection

    def take(self, note: Note | Outgoing | Finished) -> None:
        """Pass a note of a thread to the association."""
        if self.association is not None:
            self.association.take(note, self._host.now())

    def flush(self) -> None:
        """Write the answers of a group of notes, and read on if there is room again."""
        if self.association is not None and self.phase is Phase.ASSOCIATED:
            self.association.flush()
            self._throttle()

    # --- within ---

    def _last_word(self, data: bytes) -> None:
        """Send what ends the association, then only wait for the peer to close (Sta13)."""
        if self.association is not None:
            self.association.end()
        self.write(data)
        self._inbox.clear()
        self._enter(Phase.CLOSING)
        if self._transport is not None:
            if self._paused_at is not None:
                self._transport.resume_reading()  # to notice that the peer closes
            if self._transport.can_write_eof():
                self._transport.write_eof()

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, self._host.now()
        self._host.entered(self, phase)

    def _throttle(self) -> None:
        """Pause or resume reading as queues and write buffer demand."""
        association, transport = self.association, self._transport
        if association is None or transport is None or self.phase is not Phase.ASSOCIATED:
            return
        if association.throttle(self._host.queued) or not self._writable:
            if self._paused_at is None:
                self._paused_at = self._host.now()
                transport.pause_reading()
        elif self._paused_at is not None:
            association.resumed(self._host.now() - self._paused_at)
            self._paused_at = None
            transport.resume_reading()

    def _give_back(self, segment: Segment, lent: bool) -> None:  # noqa: FBT001 - a callback
        if lent and self.association is not None:
            self.association.retire(segment)
        else:
            self._host.pool.give(segment)
