# SPDX-License-Identifier: Apache-2.0
"""Carries what an operation's thread says to its association, and back what the peer answers.

Invariant: a thread never has more than ``settings.in_flight`` bytes on their way to the peer, and
it ends soon after its association: whatever it waits for then raises ``GoneError``.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from radkeep.dimse.wire import pdu
from radkeep.dimse.wire.commands import Command, response
from radkeep.dimse.wire.negotiation import Context
from radkeep.domain.actor import Actor
from radkeep.domain.errors import Kind, RadkeepError

Buffer = bytes | memoryview
_BATCH: Final = 65_536  # bytes of small messages that travel together


class GoneError(RadkeepError):
    """The association ended while an operation still ran."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "association-gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A C-FIND-RQ, C-GET-RQ or C-MOVE-RQ, whole."""

    context: Context
    command: Command
    identifier: bytes
    actor: Actor
    called: str  # our AE title, as the peer says it
    relational: bool  # negotiated
    combined: bool  # negotiated: date and time match as one
    contexts: Mapping[int, Context]  # all of the association
    scp_classes: frozenset[str]  # SOP classes of which the peer offered to be SCP
    max_length: int  # bytes of a P-DATA-TF PDU that the peer takes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Bytes for the peer, whole PDUs."""

    courier: "Courier"
    buffers: Sequence[Buffer]
    length: int
    whole: bool  # they end with the end of a message
    after: int = 0  # responses of the peer that must have come before


@dataclass(frozen=True, slots=True)
class Finished:
    """The operation has said its last word."""

    courier: "Courier"
    broken: bool = False  # in the middle of a message: only an abort is left to say


@dataclass(slots=True)
class _Mail:
    """What waits to be posted together."""

    buffers: list[Buffer] = field(default_factory=list)
    length: int = 0
    after: int = 0


class Courier:
    """One operation's line to its peer; ``send`` and ``answered`` are for its thread only."""

    def __init__(
        self, request: Request, *, post: Callable[[Outgoing | Finished], None], in_flight: int
    ) -> None:
        self.request = request
        self.cancelled = False  # the peer does not want the rest; written by the loop only
        self._post, self._limit = post, in_flight
        self._changed = threading.Condition()
        self._flying = 0
        self._mid_message = False
        self._gone = False
        self._statuses: deque[tuple[int, int]] = deque()  # message id, status
        self._mail = _Mail()

    # --- the operation's thread ---

    def respond(
        self,
        status: int,
        *,
        identifier: bytes = b"",
        counts: Mapping[int, int] | None = None,
        comment: str = "",
    ) -> None:
        """Send a response; small ones gather until ``flush`` or the next large one.

        Raises:
            GoneError: the association has ended.
        """
        request = self.request
        command = response(
            request.command, status, comment=comment, data_set=bool(identifier), counts=counts
        )
        self.command(request.context.id, command)
        if identifier:
            self._add(
                pdu.fragments(
                    request.context.id, identifier, is_command=False, max_length=request.max_length
                )
            )
        if self._mail.length >= _BATCH:
            self.flush()

    def command(self, context_id: int, command: Command, *, after: int = 0) -> None:
        """Gather ``command`` for the next ``flush``; it waits for ``after`` responses in all.

        So a thread can have its next request ready before the last one is answered.
        """
        self._mail.after = after
        encoded = command.encode()
        self._add(
            pdu.fragments(context_id, encoded, is_command=True, max_length=self.request.max_length)
        )

    def data(self, context_id: int, piece: Buffer, *, last: bool) -> None:
        """Send a piece of a data set, at least a byte unless it is the last.

        Raises:
            GoneError: the association has ended.
        """
        buffers = pdu.framed(context_id, piece, last=last, max_length=self.request.max_length)
        self._mail.buffers += buffers
        self._mail.length += len(piece)
        self.flush(whole=last)

    def flush(self, *, whole: bool = True) -> None:
        """Send what has gathered; wait while too much is under way.

        Raises:
            GoneError: the association has ended.
        """
        mail, self._mail = self._mail, _Mail()
        with self._changed:
            self._changed.wait_for(lambda: self._gone or self._flying < self._limit)
            if self._gone:
                raise GoneError("the association has ended")
            self._flying += mail.length
        self._mid_message = not whole
        if mail.buffers:
            self._post(Outgoing(self, mail.buffers, mail.length, whole, mail.after))

    def answered(self, timeout: float | None = None) -> tuple[int, int]:
        """Wait for the peer's next response; return message id and status.

        Raises:
            GoneError: the association has ended, or no answer came in ``timeout`` seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._gone or bool(self._statuses), timeout)
            if not self._statuses:
                raise GoneError("the association has ended, or does not answer")
            return self._statuses.popleft()

    def working(self) -> None:
        """Tell the association that the operation is at work though it says nothing.

        Raises:
            GoneError: the association has ended.
        """
        if self._gone:
            raise GoneError("the association has ended")
        self._post(Outgoing(self, (), 0, whole=True))

    def close(self) -> None:
        """Send what has gathered, unless a message was left in its middle.

        Raises:
            GoneError: the association has ended.
        """
        if not self._mid_message:
            self.flush()

    def fail(self, status: int, comment: str) -> None:
        """Say why there is nothing more to say, unless that would break into a message.

        Raises:
            GoneError: the association has ended.
        """
        if not self._mid_message:
            self.respond(status, comment=comment)

    def finish(self) -> None:
        """Say the last word."""
        self._post(Finished(self, self._mid_message))

    def _add(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            self._mail.buffers.append(part)
            self._mail.length += len(part)

    # --- the event loop ---

    def sent(self, length: int) -> None:
        """Note that ``length`` bytes are on the wire."""
        with self._changed:
            self._flying -= length
            self._changed.notify_all()

    def respond_to(self, message_id: int, status: int) -> None:
        """Pass on the peer's response to one of our requests."""
        with self._changed:
            self._statuses.append((message_id, status))
            self._changed.notify_all()

    @property
    def gone(self) -> bool:
        """Tell whether the association has ended."""
        return self._gone

    def end(self) -> None:
        """Note that the association has ended."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()
