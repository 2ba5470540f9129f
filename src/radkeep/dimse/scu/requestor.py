# SPDX-License-Identifier: Apache-2.0
"""An association that we ask for: a blocking socket under the sans-IO wire.

Invariant: no packet goes to a peer before ``admit`` has seen its address; every wait ends by a
deadline or when ``stop`` says so; whatever goes wrong is a ``PeerError``.
"""

import select
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Final, Self, TypeVar

from radkeep.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from radkeep.dimse.scu.connecting import connect
from radkeep.dimse.scu.proposal import PeerError, Proposal
from radkeep.dimse.scu.securing import fingerprint
from radkeep.dimse.wire import pdu
from radkeep.dimse.wire.commands import Command, CommandField, request
from radkeep.dimse.wire.connection import (
    DEFAULT_MAX_LENGTH,
    AssociateAnswered,
    CommandReceived,
    Connection,
    DataReceived,
    Event,
    Released,
)
from radkeep.dimse.wire.errors import LocalProtocolError, RemoteProtocolError
from radkeep.dimse.wire.items import (
    ContextOutcome,
    ProposedContext,
    UserInformation,
)
from radkeep.dimse.wire.negotiation import VERIFICATION, Context
from radkeep.dimse.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest
from radkeep.dimse.wire.state import Role, State

MAX_CONTEXTS: Final = 128  # of one association: their identifiers are odd bytes
_BUFFER: Final = DEFAULT_MAX_LENGTH + 4_096
_BUFFERS: Final = 512  # of one sendmsg; Linux takes 1,024
_SLICE: Final = 0.5  # seconds between looks at ``stop``

Buffer = bytes | memoryview
_T = TypeVar("_T")


class Requestor:
    """One association. Belongs to one thread."""

    def __init__(self, proposal: Proposal) -> None:
        """Connect and associate.

        Raises:
            PeerError: no connection, rejected, or no answer in time.
            RadkeepError: ``proposal.admit`` refuses the address.
        """
        self._proposal = proposal
        self._ids = count(1)
        self._memory = memoryview(bytearray(_BUFFER))
        self._end = 0
        self._events: list[Event] = []
        self._connection = Connection(Role.REQUESTOR)
        self._socket = connect(proposal)
        try:
            self._socket.settimeout(_SLICE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.user = self._associate()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    @property
    def contexts(self) -> Mapping[int, Context]:
        """The contexts that the peer accepted, by identifier."""
        return self._connection.contexts

    @property
    def address(self) -> str:
        """The address of the peer."""
        return str(self._socket.getpeername()[0])

    @property
    def certificate(self) -> str:
        """The SHA-256 of the certificate that the peer has shown, hexadecimal; "" without TLS."""
        return fingerprint(self._socket)

    @property
    def proposed(self) -> Sequence[tuple[str, Sequence[str]]]:
        """What we asked for: abstract syntaxes and their transfer syntaxes."""
        return self._proposal.contexts[:MAX_CONTEXTS]

    def serve(self, stop: Callable[[], bool]) -> None:
        """Work for somebody else from now on: ``stop`` tells when nobody waits any more."""
        self._proposal = replace(self._proposal, stop=stop)

    def quiet(self) -> bool:
        """Tell whether the association stands and the peer has said nothing unasked."""
        if not self.alive or self._events or self._end:
            return False
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return False
        return not select.select([self._socket], [], [], 0)[0]

    @property
    def alive(self) -> bool:
        """Tell whether the association stands, as far as we know."""
        return self._connection.state is State.ESTABLISHED

    def echo(self) -> int:
        """Return the status of a C-ECHO; needs a context for verification.

        Raises:
            PeerError: no answer.
        """
        context = self.context(VERIFICATION)
        return self.ask(context, self.command(CommandField.C_ECHO, VERIFICATION))

    def context(self, sop_class: str) -> Context:
        """Return the first accepted context for ``sop_class``.

        Raises:
            PeerError: there is none.
        """
        for context in self.contexts.values():
            if context.abstract_syntax == sop_class:
                return context
        raise PeerError("the peer does not offer this service")

    def number(self) -> int:
        """Return the identifier of our next message."""
        return next(self._ids) & 0xFFFF

    def ask(
        self,
        context: Context,
        command: Command,
        pieces: Iterable[tuple[Buffer, bool]] = (),
    ) -> int:
        """Send a message and return the status that the peer gives it.

        ``pieces`` are those of its data set, each with whether it is the last. An error in making
        them leaves the association unusable: abort it.

        Raises:
            PeerError: no answer.
        """
        self.send(context, command, pieces)
        answer, _ = self.receive()
        if answer.message_id != command.message_id or answer.status is None:
            raise self._broken("the peer answers another request")
        return answer.status

    def command(
        self,
        field: CommandField,
        sop_class: str,
        sop_instance: str = "",
        *,
        originator: tuple[str, int] | None = None,
    ) -> Command:
        """Return a request; ``originator`` is who asked us to move, and in which message."""
        return request(self.number(), field, sop_class, sop_instance, originator=originator)

    def send(
        self,
        context: Context,
        command: Command,
        pieces: Iterable[tuple[Buffer, bool]] = (),
    ) -> None:
        """Send a message.

        Raises:
            PeerError: the peer is gone or takes nothing.
        """
        buffers: list[Buffer] = [self._guarded(self._connection.send_command, context.id, command)]
        length = self._connection.sent_length
        for piece, last in pieces:
            buffers += pdu.framed(context.id, piece, last=last, max_length=length)
            self._write(buffers)
            buffers = []
        if buffers:
            self._write(buffers)

    def receive(self) -> tuple[Command, bytes]:
        """Return the next message of the peer: command and data set.

        Raises:
            PeerError: none came in time, or the peer broke the protocol.
        """
        command: Command | None = None
        data = bytearray()
        while True:
            event = self._next()
            if isinstance(event, CommandReceived):
                command = event.command
                if not command.has_data_set:
                    return command, b""
            elif isinstance(event, DataReceived) and command is not None:
                data += event.data
                if event.last:
                    return command, bytes(data)
            else:
                raise self._broken("the peer ended the association")

    def release(self) -> None:
        """End the association in order; a peer that does not answer is left alone."""
        with suppress(PeerError, LocalProtocolError):
            self._write([self._connection.release()])
            while not isinstance(self._next(), Released):
                pass
        self._socket.close()

    def abort(self) -> None:
        """End the association at once."""
        with suppress(OSError, LocalProtocolError):
            self._socket.sendall(self._connection.abort())
        self._socket.close()

    def _associate(self) -> UserInformation:
        proposal = self._proposal
        contexts = tuple(
            ProposedContext(2 * number + 1, abstract, tuple(syntaxes))
            for number, (abstract, syntaxes) in enumerate(proposal.contexts[:MAX_CONTEXTS])
        )
        asked = AssociateRequest(
            called=proposal.called,
            calling=proposal.calling,
            contexts=contexts,
            user=UserInformation(
                max_length=DEFAULT_MAX_LENGTH,
                implementation_class=IMPLEMENTATION_CLASS_UID,
                implementation_version=IMPLEMENTATION_VERSION_NAME,
                roles=proposal.roles,
                extended=proposal.extended,
            ),
        )
        self._write([self._connection.request(asked)])
        event = self._next()
        answer = event.answer if isinstance(event, AssociateAnswered) else None
        if isinstance(answer, AssociateReject):
            raise PeerError(
                f"the peer rejects us ({answer.result}/{answer.source}/{answer.reason})"
            )
        if not isinstance(answer, AssociateAccept):
            raise PeerError("the peer does not associate")
        proposed = {context.id: context for context in contexts}
        self._connection.use(
            {
                result.id: Context(
                    result.id, proposed[result.id].abstract_syntax, result.transfer_syntax
                )
                for result in answer.contexts
                if result.outcome == ContextOutcome.ACCEPTANCE
                and result.id in proposed
                and result.transfer_syntax in proposed[result.id].transfer_syntaxes
            }
        )
        return answer.user

    def _next(self) -> Event:
        """Return the next event; data in it is valid until the next call."""
        if self._events:
            return self._events.pop(0)
        deadline = monotonic() + self._proposal.answer
        while not self._events:
            try:
                received = self._socket.recv_into(self._memory[self._end :])
            except TimeoutError:
                self._check(deadline)
                continue
            except OSError as error:
                raise self._broken("the connection to the peer broke") from error
            if not received:
                raise self._broken("the peer closed the connection")
            self._end += received
            view = self._memory[: self._end]
            events: list[Event] = []
            consumed = self._guarded(self._connection.receive, view, events)
            rest = self._end - consumed
            if events:
                self._events = [_kept(event) for event in events]
            self._memory[:rest] = bytes(view[consumed:])
            self._end = rest
            if rest == len(self._memory):
                raise self._broken("the peer's answer is too long")
        return self._events.pop(0)

    def _write(self, buffers: Sequence[Buffer]) -> None:
        deadline = monotonic() + self._proposal.answer
        waiting = list(buffers)
        waiting.reverse()
        while waiting:
            batch = waiting[: -_BUFFERS - 1 : -1]
            try:
                sent = self._send(batch)
            except TimeoutError:
                self._check(deadline)
                continue
            except OSError as error:
                raise self._broken("the connection to the peer broke") from error
            deadline = monotonic() + self._proposal.answer
            while waiting and sent >= len(waiting[-1]):
                sent -= len(waiting.pop())
            if sent:
                waiting[-1] = memoryview(waiting[-1])[sent:]

    def _send(self, batch: Sequence[Buffer]) -> int:
        """Send what the connection takes of ``batch``; after a TimeoutError, it again."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return self._socket.sendmsg(batch)
        return self._socket.send(batch[0] if len(batch) == 1 else b"".join(batch))

    def _check(self, deadline: float) -> None:
        if self._proposal.stop():
            raise self._broken("nobody waits for the peer any more")
        if monotonic() > deadline:
            raise self._broken("the peer does not answer in time")

    def _guarded(self, action: Callable[..., _T], *arguments: object) -> _T:
        try:
            return action(*arguments)
        except (RemoteProtocolError, LocalProtocolError) as error:
            raise self._broken("the peer broke the protocol") from error

    def _broken(self, why: str) -> PeerError:
        self.abort()
        return PeerError(why)


def _kept(event: Event) -> Event:
    """Return ``event`` with bytes of its own, for the buffer is used again."""
    if isinstance(event, DataReceived):
        return DataReceived(memoryview(bytes(event.data)), event.last)
    return event
