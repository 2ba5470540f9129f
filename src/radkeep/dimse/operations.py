# SPDX-License-Identifier: Apache-2.0
"""What one association asks beyond C-STORE and C-ECHO, on the event loop: requests in, bytes out.

Invariant: one operation runs at a time, in a thread of its own; each is answered exactly once as
long as the association lives; the bytes of two messages never mix.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from radkeep.dicom.commitment import MAX_ACTION
from radkeep.dicom.status import (
    CANNOT_UNDERSTAND,
    CLASS_NOT_SUPPORTED,
    DATA_SET_MISMATCH,
    PROCESSING_FAILURE,
    store_status,
)
from radkeep.dimse.courier import Buffer, Courier, Finished, GoneError, Outgoing, Request
from radkeep.dimse.models import field_of
from radkeep.dimse.wire.commands import RESPONSE_BIT, Command, CommandField, response
from radkeep.dimse.wire.connection import CommandReceived, Connection, DataReceived
from radkeep.dimse.wire.items import UserInformation
from radkeep.domain.actor import Actor
from radkeep.domain.errors import RadkeepError

MAX_IDENTIFIER: Final = 131_072  # bytes; 512 UIDs of 65 bytes and what stands around them
_LIMITS: Final[Mapping[int, int]] = {CommandField.N_ACTION: MAX_ACTION}  # bytes
_ANSWERS: Final = frozenset(
    field | RESPONSE_BIT for field in (CommandField.C_STORE, CommandField.N_EVENT_REPORT)
)
_RELATIONAL, _COMBINED = 0, 1  # bytes of the extended negotiation (PS3.4 Table C.5-1)
_BY_CODE: Final = {"invalid-uid": DATA_SET_MISMATCH}  # of an identifier, not of an instance

_log: Final = structlog.get_logger()


class Service(Protocol):
    """An SCP that runs in a thread."""

    def run(self, courier: Courier) -> None:
        """Do what ``courier.request`` asks and send every response, or raise before the last.

        Raises:
            RadkeepError: refused, and not answered yet.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an association agreed on, as far as operations care."""

    actor: Actor
    called: str
    user: UserInformation  # of our acceptance


class Operations:
    """Queues, runs and cancels; lives on the event loop."""

    def __init__(
        self,
        services: Mapping[int, Service],
        *,
        terms: Terms,
        connection: Connection,
        threads: ThreadPoolExecutor,
        post: Callable[[Outgoing | Finished], None],
        write: Callable[[Sequence[Buffer]], bool],
        abort: Callable[[], None],
        in_flight: int,
    ) -> None:
        """Run ``services``, by command field, in ``threads``.

        ``post`` brings notes from a thread to the loop; ``write`` sends bytes and tells whether
        the transport takes more; ``abort`` ends an association whose stream is broken.
        """
        self.mid_message = False  # nobody else may write before the message has ended
        self._services, self._terms, self._connection = services, terms, connection
        self._threads, self._post, self._write = threads, post, write
        self._abort, self._in_flight = abort, in_flight
        self._begun: CommandReceived | None = None
        self._identifier = bytearray()
        self._queue: deque[Courier] = deque()  # the first one runs
        self._held: deque[Outgoing | Finished] = deque()  # they wait for responses of the peer
        self._responses = 0  # to the operation that runs
        self._unsent: list[tuple[Courier, int]] = []  # written while the transport was full

    def __len__(self) -> int:
        return len(self._queue)

    def begin(self, event: CommandReceived) -> Command | None:
        """Begin to take a request; return the answer if it is refused at once."""
        command, context = event.command, event.context
        field = field_of(context.abstract_syntax)
        if field != command.field or command.field not in self._services:
            return response(command, CLASS_NOT_SUPPORTED)
        if not command.has_data_set:
            return response(command, DATA_SET_MISMATCH, comment="an identifier is missing")
        self._begun = event
        self._identifier.clear()
        return None

    def data(self, event: DataReceived) -> tuple[int, Command] | None:
        """Take a piece of an identifier; return context and answer if it is refused."""
        begun = self._begun
        if begun is None:
            return None
        limit = _LIMITS.get(begun.command.field, MAX_IDENTIFIER)
        if len(self._identifier) <= limit:
            self._identifier += event.data
        if not event.last:
            return None
        self._begun = None
        if len(self._identifier) > limit:
            refusal = response(
                begun.command, CANNOT_UNDERSTAND, comment="the identifier is too long"
            )
            return begun.context.id, refusal
        courier = Courier(self._request(begun), post=self._post, in_flight=self._in_flight)
        self._queue.append(courier)
        if len(self._queue) == 1:
            self._start(courier)
        return None

    def cancel(self, message_id: int) -> None:
        """Cancel a request of the peer (PS3.7 Section 9.3.2.3); a late C-CANCEL is no fault."""
        for courier in self._queue:
            if courier.request.command.message_id == message_id:
                courier.cancelled = True

    def answered(self, command: Command) -> bool:
        """Pass the answer to a sub-operation to what runs; False if nothing does."""
        if not self._queue or command.field not in _ANSWERS:
            return False
        status = command.status
        self._queue[0].respond_to(
            command.message_id, PROCESSING_FAILURE if status is None else status
        )
        self._responses += 1
        while self._held and _due(self._held[0]) <= self._responses:
            self._act(self._held.popleft())
        return True

    def take(self, note: Outgoing | Finished) -> None:
        """Write what a thread says, or let the next request run; in the order of the notes."""
        if note.courier.gone:
            return
        if self._held or _due(note) > self._responses:
            self._held.append(note)
        else:
            self._act(note)

    def _act(self, note: Outgoing | Finished) -> None:
        if isinstance(note, Finished):
            if note.broken:
                self._abort()
            elif self._queue and self._queue[0] is note.courier:
                self._queue.popleft()
                if self._queue:
                    self._start(self._queue[0])
            return
        self._connection.sending()
        self.mid_message = not note.whole
        if self._write(note.buffers):
            note.courier.sent(note.length)
        else:
            self._unsent.append((note.courier, note.length))

    def drained(self) -> None:
        """Note that the transport takes more."""
        unsent, self._unsent = self._unsent, []
        for courier, length in unsent:
            courier.sent(length)

    def end(self) -> None:
        """Let every operation end; nothing more is sent."""
        self._begun = None
        for courier in self._queue:
            courier.end()
        self._queue.clear()
        self.mid_message = False
        self._held.clear()
        self._unsent.clear()

    def _request(self, begun: CommandReceived) -> Request:
        user = self._terms.user
        agreed = dict(user.extended).get(begun.context.abstract_syntax, b"").ljust(2, b"\0")
        return Request(
            context=begun.context,
            command=begun.command,
            identifier=bytes(self._identifier),
            actor=self._terms.actor,
            called=self._terms.called,
            relational=agreed[_RELATIONAL] == 1,
            combined=agreed[_COMBINED] == 1,
            contexts=self._connection.contexts,
            scp_classes=frozenset(role.sop_class for role in user.roles if role.scp),
            max_length=self._connection.sent_length,
        )

    def _start(self, courier: Courier) -> None:
        self._responses = 0
        service = self._services[courier.request.command.field]
        self._threads.submit(partial(_run, service, courier))


def _due(note: Outgoing | Finished) -> int:
    return note.after if isinstance(note, Outgoing) else 0


def _run(service: Service, courier: Courier) -> None:
    """Run one operation in its thread; whatever happens, it is answered."""
    try:
        try:
            service.run(courier)
        except GoneError:
            raise
        except RadkeepError as error:
            status = _BY_CODE.get(error.code) or store_status(error)
            _log.info("dimse.operation.refused", code=error.code, status=f"{status:04X}")
            courier.fail(status, str(error))
        except Exception:  # noqa: BLE001 - logged; the peer must hear something
            _log.exception("dimse.operation.failed")
            courier.fail(PROCESSING_FAILURE, "internal error")
        courier.close()
    except GoneError:
        pass  # nobody is left to answer to
    finally:
        courier.finish()
