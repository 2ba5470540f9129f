# SPDX-License-Identifier: Apache-2.0
"""Storage service class (PS3.4 Annex B), the part that runs in an ingest thread.

Invariant: each request is answered exactly once, with success only after its future says that
the instance is durable; what does not come to its end is abandoned.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Final

import structlog

from radkeep.dicom.status import PROCESSING_FAILURE, SUCCESS, store_status
from radkeep.dimse.buffers import Segment, SegmentPool
from radkeep.dimse.ports import Reception, Store, Transfer
from radkeep.dimse.wire.commands import Command
from radkeep.dimse.wire.negotiation import VERIFICATION, Context
from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError, RadkeepError, UnsupportedError

_log: Final = structlog.get_logger()
PROTOCOL: Final = "c-store"  # as the audit log names this door
_BUG: Final = "internal error"  # all that a peer hears of one


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE-RQ; its data set follows as memory views."""

    context: Context
    command: Command


class Mark(Enum):
    """Steps without content."""

    END = auto()  # the data set is complete
    ABANDON = auto()  # the data set will never be complete
    CLOSE = auto()  # the association is over


Step = StoreRequest | memoryview | Segment | Mark  # a Segment goes back to its pool


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer to a request."""

    request: StoreRequest
    status: int
    comment: str = ""  # safe for a peer


class Ready(Enum):
    """The queue has drained: the loop may read on."""

    READY = auto()


Note = Answer | Ready


def check(context: Context, command: Command) -> None:
    """Refuse a C-STORE-RQ that no store could act on (PS3.7 Section 9.3.1.1).

    Raises:
        UnsupportedError: it came in a context for verification.
        InvalidRequestError: it does not name its SOP class or instance.
    """
    if context.abstract_syntax == VERIFICATION:
        raise UnsupportedError("no storage in a context for verification")
    if not command.sop_class or not command.sop_instance:
        raise InvalidRequestError("a C-STORE-RQ must name its SOP class and instance")


class Intake:
    """What one association stores. All but the counters belongs to its ingest thread."""

    def __init__(
        self,
        store: Store[Any],
        actor: Actor,
        *,
        session: str,
        post: Callable[[Note], None],
        drained: int,
    ) -> None:
        """Post answers by ``post``; ``drained`` bytes queued or less are told to a paused loop."""
        self.sent = 0  # bytes queued so far; written by the loop only
        self.taken = 0  # bytes taken so far; written by the ingest thread only
        self.paused = False  # the loop waits for Ready; written by the loop only
        self._store, self._actor, self._session = store, actor, session
        self._post, self._drained = post, drained
        self._transfer: Transfer | None = None
        self._request: StoreRequest | None = None
        self._reception: Reception | None = None
        self._refusal: Answer | None = None

    def queued(self) -> int:
        """Return the bytes on their way from the loop to the ingest thread."""
        return self.sent - self.taken

    def run(self, steps: Sequence[Step], pool: SegmentPool) -> None:
        """Do ``steps`` in order; no exception leaves, for the thread serves others too."""
        for step in steps:
            if isinstance(step, memoryview):
                self._feed(step)
                self.taken += len(step)
            elif isinstance(step, StoreRequest):
                self._request, self._refusal = step, None
                self._attempt(partial(self._begin, step))
            elif isinstance(step, Segment):
                pool.give(step)
            elif step is Mark.END:
                self._attempt(self._finish)
                if self._refusal is not None:
                    self._post(self._refusal)
                self._request = self._reception = self._refusal = None
            else:
                self._abandon()
                if step is Mark.CLOSE:
                    self._attempt(self._close)
        if self.paused and self.queued() <= self._drained:
            self._post(Ready.READY)

    def _begin(self, request: StoreRequest) -> None:
        command = request.command
        if self._transfer is None:
            self._transfer = self._store.transfer(
                self._actor, session=self._session, protocol=PROTOCOL
            )
        self._reception = self._store.receive(
            self._transfer,
            transfer_syntax=request.context.transfer_syntax,
            sop_class=command.sop_class,
            sop_instance=command.sop_instance,
        )

    def _feed(self, data: memoryview) -> None:
        if self._reception is not None:
            try:
                self._reception.feed(data)
            except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
                self._fail(error)

    def _finish(self) -> None:
        if self._reception is not None and self._request is not None:
            future = self._reception.finish()
            future.add_done_callback(partial(self._done, self._request))

    def _done(self, request: StoreRequest, future: Future[Any]) -> None:
        """Post the answer; runs in whichever thread ends the future."""
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if error is None:
            self._post(Answer(request, SUCCESS))
        else:
            self._post(self._refuse(request, error))

    def _abandon(self) -> None:
        reception, self._reception, self._request = self._reception, None, None
        if reception is not None:
            self._attempt(reception.abandon)

    def _close(self) -> None:
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.close()

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do ``action``; an error becomes the answer to the current request."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        reception, self._reception = self._reception, None
        if self._request is not None and self._refusal is None:
            self._refusal = self._refuse(self._request, error)
        elif not isinstance(error, RadkeepError):
            _log.error("dimse.store.failed", session=self._session, exc_info=error)
        if reception is not None and not isinstance(error, RadkeepError):
            self._attempt(reception.abandon)

    def _refuse(self, request: StoreRequest, error: BaseException) -> Answer:
        if isinstance(error, RadkeepError):
            status = store_status(error)
            _log.info(
                "dimse.store.refused",
                session=self._session,
                code=error.code,
                status=f"{status:04X}",
            )
            return Answer(request, status, str(error))
        _log.error("dimse.store.failed", session=self._session, exc_info=error)
        return Answer(request, PROCESSING_FAILURE, _BUG)
