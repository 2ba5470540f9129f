# SPDX-License-Identifier: Apache-2.0
"""One established association, on the event loop: commands in, answers out.

Invariant: nothing here blocks; data set bytes are passed on as slices of the receive segment and
never copied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from radkeep.dicom.status import store_status
from radkeep.dimse import echo_scp, store_scp
from radkeep.dimse.buffers import Segment
from radkeep.dimse.courier import Finished, Outgoing
from radkeep.dimse.operations import Operations
from radkeep.dimse.ports import Violation
from radkeep.dimse.settings import HANDOVER, SEGMENT, DimseSettings
from radkeep.dimse.store_scp import Answer, Intake, Mark, Note, Ready, Step, StoreRequest
from radkeep.dimse.wire.commands import RESPONSE_BIT, Command, CommandField, response
from radkeep.dimse.wire.connection import CommandReceived, Connection, DataReceived
from radkeep.dimse.wire.errors import AbortReason, RemoteProtocolError
from radkeep.dimse.worker import Worker
from radkeep.domain.actor import Actor
from radkeep.domain.errors import RadkeepError

UNRECOGNIZED_OPERATION: Final = 0x0211  # PS3.7 Section C.5.23

_OPERATIONS: Final = frozenset(
    {CommandField.C_FIND, CommandField.C_GET, CommandField.C_MOVE, CommandField.N_ACTION}
)

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What an association asks of the channel it lives on."""

    write: Callable[[bytes], None]
    released: Callable[[], None]  # all is answered after a release request
    refused: Callable[[str], None]  # record a violation, in our words


class Association:
    """Serves one peer until it releases, aborts or vanishes."""

    def __init__(
        self,
        *,
        connection: Connection,
        intake: Intake,
        operations: Operations,
        worker: Worker,
        actor: Actor,
        settings: DimseSettings,
        line: Line,
        now: float,
    ) -> None:
        """Begin at ``now``, a time of the event loop in seconds."""
        self.actor = actor
        self.worker = worker
        self.paused = False  # we cannot take more now; the channel stops reading
        self._connection, self._intake, self._settings = connection, intake, settings
        self._line, self._operations = line, operations
        self._steps: list[Step] = []
        self._gathered = 0  # bytes in ``_steps``
        self._answers: list[bytes] = []
        self._outstanding = 0  # C-STOREs begun and not answered
        self._storing = False  # the data set under way goes to the intake; else it is dropped
        self._releasing = self._ended = False
        self._opened = self._active = self._message = now  # message: when it began
        self._message_bytes = 0
        worker.intakes += 1

    def busy(self) -> bool:
        """Tell whether a message or an answer is under way."""
        return self._under_way() > 0 or self._connection.in_message

    def queued(self) -> int:
        """Return the bytes that the ingest thread has not taken yet."""
        return self._intake.queued()

    def command(self, event: CommandReceived, now: float) -> None:
        """Act on a command.

        Raises:
            RemoteProtocolError: a response, though we have asked for nothing.
        """
        command = event.command
        self._message, self._message_bytes, self._storing = now, 0, False
        if command.field == CommandField.C_STORE:
            self._store(event)
        elif command.field == CommandField.C_ECHO:
            self._answer(event.context.id, echo_scp.answer(command))
        elif command.field in _OPERATIONS:
            refusal = self._operations.begin(event)
            if refusal is not None:
                self._answer(event.context.id, refusal)
        elif command.field == CommandField.C_CANCEL:
            self._operations.cancel(command.message_id)
        elif not command.field & RESPONSE_BIT:
            self._answer(event.context.id, response(command, UNRECOGNIZED_OPERATION))
        elif not self._operations.answered(command):
            raise RemoteProtocolError("a response to nothing", AbortReason.UNEXPECTED_PARAMETER)

    def _store(self, event: CommandReceived) -> None:
        try:
            store_scp.check(event.context, event.command)
        except RadkeepError as error:
            self._line.refused(str(error))
            self._answer(event.context.id, response(event.command, store_status(error)))
            return
        self._outstanding += 1
        self._steps.append(StoreRequest(event.context, event.command))
        if event.command.has_data_set:
            self._storing = True
        else:
            self._steps.append(Mark.END)  # the store refuses an empty data set

    def data(self, event: DataReceived) -> None:
        """Queue a piece of a data set."""
        length = len(event.data)
        self._message_bytes += length
        if not self._storing:
            refusal = self._operations.data(event)
            if refusal is not None:
                self._answer(*refusal)
            return
        if length:
            self._steps.append(event.data)
            self._gathered += length
            self._intake.sent += length
        if event.last:
            self._storing = False
            self._steps.append(Mark.END)

    def retire(self, segment: Segment) -> None:
        """Have ``segment`` returned to the pool after its last slice was taken."""
        self._steps.append(segment)
        if self._ended:
            self._hand_over()

    def after_read(self, now: float) -> None:
        """Hand over what has gathered, write answers, pause if too much is under way."""
        self._active = now
        if self._answers or self._releasing:
            self.flush()
        if self._steps and (not self._storing or self._gathered >= HANDOVER):
            self._hand_over()

    def _hand_over(self) -> None:
        steps, self._steps, self._gathered = self._steps, [], 0
        self.worker.put(self._intake, steps)

    def throttle(self, queued_by_all: Callable[[], int]) -> bool:
        """Decide again whether to pause; True while more must not be read."""
        queued = self._intake.sent - self._intake.taken
        settings, was_paused = self._settings, self._intake.paused
        self.paused = (
            self._under_way() >= settings.outstanding
            or queued > settings.queued_per_association
            or (queued > SEGMENT and queued_by_all() > settings.queued)
        )
        if not self.paused and not was_paused:
            return False
        if self.paused:
            if self._steps:
                self._hand_over()
            self._intake.paused = True
            # The thread may have drained the queue before it could see the flag.
            if self._under_way() < self._settings.outstanding and not self._intake.queued():
                self.paused = False
        if not self.paused:
            self._intake.paused = False
        return self.paused

    def resumed(self, pause: float) -> None:
        """Do not count ``pause`` seconds in which we did not read against the peer."""
        self._message += pause

    def take(self, note: Note | Outgoing | Finished, now: float) -> None:
        """Act on a note of a thread."""
        if self._ended or note is Ready.READY:
            return
        if not isinstance(note, Answer):
            self._active = now
            self._operations.take(note)
            return
        self._outstanding -= 1
        answer = response(note.request.command, note.status, comment=note.comment)
        self._answer(note.request.context.id, answer)

    def _answer(self, context_id: int, command: Command) -> None:
        self._answers.append(self._connection.send_command(context_id, command))

    def drained(self, now: float) -> None:
        """Note that the transport takes more."""
        self._active = now
        self._operations.drained()

    def _under_way(self) -> int:
        return self._outstanding + len(self._operations)

    def flush(self) -> None:
        """Write the gathered answers at once; confirm a release that waited for them."""
        if self._answers and not self._operations.mid_message:
            answers, self._answers = self._answers, []
            self._line.write(answers[0] if len(answers) == 1 else b"".join(answers))
        if self._releasing and not self._outstanding and not self._ended:
            self.end()
            self._line.released()

    def release_requested(self) -> None:
        """End after the last answer; a data set that is not complete is abandoned."""
        self._releasing = True
        self._operations.end()
        if self._storing:
            self._storing = False
            self._outstanding -= 1
            self._steps.append(Mark.ABANDON)

    def end(self) -> None:
        """Let everything go; what was complete is still stored."""
        if self._ended:
            return
        self._ended = True
        self._storing = False
        self._operations.end()
        self._steps.append(Mark.CLOSE)
        self._hand_over()
        self.worker.intakes -= 1

    def overdue(self, now: float) -> tuple[Violation | None, str] | None:
        """Return why the association has to end now: whose fault, and our words for it."""
        limits = self._settings
        if now - self._opened > limits.total:
            return None, "the association has reached its longest duration"
        if self._connection.in_message and not self.paused:
            allowed = limits.stall + self._message_bytes / limits.min_rate
            if now - self._message > allowed:
                return Violation.TOO_SLOW, "a message took too long"
        elif self._under_way():
            if now - self._active > limits.answer:
                _log.error("dimse.stuck", stores=self._outstanding, others=len(self._operations))
                return None, "an operation did not come to its end"
        elif now - self._active > limits.idle:
            return None, "nothing happened for too long"
        return None
