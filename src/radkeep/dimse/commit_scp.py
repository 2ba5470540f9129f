# SPDX-License-Identifier: Apache-2.0
"""Storage commitment, push model (PS3.4 Annex J): a request in, its report out when it is checked.

Invariant: each transaction that was accepted is reported once checked: on its own association while
that stands and the peer answers, else on a new one to the address that is registered. A report
says of each object either that it is kept, or why not.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from radkeep.dicom.commitment import (
    STORAGE_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    CommitmentRequest,
    report,
)
from radkeep.dicom.status import (
    CLASS_INSTANCE_CONFLICT,
    INVALID_ARGUMENT,
    NO_SUCH_ACTION,
    NO_SUCH_INSTANCE,
    NOT_AUTHORIZED,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
)
from radkeep.dicom.syntaxes import IMPLICIT_LITTLE
from radkeep.dimse.courier import Courier, GoneError, Request
from radkeep.dimse.ports import Committer
from radkeep.dimse.reporter import Report, Reporter
from radkeep.dimse.wire.commands import Element, event_report
from radkeep.domain.errors import Kind, RadkeepError
from radkeep.retrieval.commitment import Commitment, Flaw

REQUEST_COMMITMENT: Final = 1  # Action Type ID
ALL_COMMITTED, SOME_FAILED = 1, 2  # Event Type IDs
MAX_CHECKS: Final = 64  # transactions accepted and not yet checked
_CHECKERS: Final = 2  # at once: each reads as fast as the disk gives
_PULSE: Final = 1.0  # seconds

_STATUS: Final = {  # of an N-ACTION (PS3.7 Section 10.1.4.1.10)
    Kind.INVALID: INVALID_ARGUMENT,
    Kind.FORBIDDEN: NOT_AUTHORIZED,
    Kind.TOO_LARGE: RESOURCE_LIMITATION,
    Kind.THROTTLED: RESOURCE_LIMITATION,
    Kind.UNAVAILABLE: RESOURCE_LIMITATION,
}
_REASONS: Final = {
    Flaw.MISSING: NO_SUCH_INSTANCE,
    Flaw.OTHER_CLASS: CLASS_INSTANCE_CONFLICT,
    Flaw.DAMAGED: PROCESSING_FAILURE,
}

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Finding:
    """The result of a check, in words of the wire."""

    event: int
    explicit: bytes
    implicit: bytes


class CommitScp:
    """Answers requests for storage commitment."""

    def __init__(self, committer: Committer, reporter: Reporter | None, *, answer: float) -> None:
        """Ask ``committer``; without ``reporter`` only peers that wait hear the result.

        A peer has ``answer`` seconds to take the report on its own association.
        """
        self._committer, self._reporter, self._answer = committer, reporter, answer
        self._checkers = ThreadPoolExecutor(_CHECKERS, thread_name_prefix="dimse-commitment")
        self._places = threading.BoundedSemaphore(MAX_CHECKS)
        self._closed = False

    def run(self, courier: Courier) -> None:
        """Answer one N-ACTION-RQ, and report if the peer waits for it.

        Raises:
            GoneError: the peer did not wait; the report goes its own way.
        """
        request = courier.request
        try:
            asked = self._asked(request)
        except RadkeepError as error:
            _log.info("dimse.commitment.refused", code=error.code)
            courier.respond(_STATUS.get(error.kind, PROCESSING_FAILURE), comment=str(error))
            return
        if isinstance(asked, int):
            courier.respond(asked)
            return
        if not self._places.acquire(blocking=False):
            courier.respond(RESOURCE_LIMITATION, comment="too many commitments are being checked")
            return
        checked = self._checkers.submit(self._check, request, asked)
        checked.add_done_callback(lambda _: self._places.release())
        try:
            courier.respond(SUCCESS)
            courier.flush()
            while not wait((checked,), _PULSE).done:
                courier.working()
            if not checked.cancelled():
                self._report(courier, checked.result())
        except GoneError:
            checked.add_done_callback(partial(self._later, request))

    def close(self) -> None:
        """End; what is not checked yet is forgotten, and its sender will ask again."""
        self._closed = True
        self._checkers.shutdown(cancel_futures=True)
        if self._reporter is not None:
            self._reporter.close()

    def _asked(self, request: Request) -> CommitmentRequest | int:
        """Return what ``request`` asks, or the status of what it may not ask.

        Raises:
            RadkeepError: it may not ask, or asks for nothing.
        """
        sop_class, sop_instance = request.command.requested
        if (sop_class, sop_instance) != (STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE):
            return NO_SUCH_INSTANCE
        if request.command.numbers.get(Element.ACTION_TYPE) != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION
        self._committer.require(request.actor)
        return CommitmentRequest.read(request.identifier, request.context.transfer_syntax)

    def _check(self, request: Request, asked: CommitmentRequest) -> _Finding:
        """Check in a thread of ours; what cannot be said with certainty is a failure."""
        try:
            found = self._committer.check(request.actor, asked, ended=lambda: self._closed)
        except Exception as error:  # noqa: BLE001 - logged; the peer has to hear of each object
            code = error.code if isinstance(error, RadkeepError) else ""
            _log.error("dimse.commitment.failed", code=code, exc_info=None if code else error)
            failed = [(reference, Flaw.DAMAGED) for reference in asked.references]
            found = Commitment(committed=(), failed=failed)
        explicit, implicit = (
            report(
                asked.transaction,
                request.called,
                found.committed,
                ((reference, _REASONS[flaw]) for reference, flaw in found.failed),
                explicit=explicit,
            )
            for explicit in (True, False)
        )
        _log.info("dimse.commitment", committed=len(found.committed), failed=len(found.failed))
        return _Finding(SOME_FAILED if found.failed else ALL_COMMITTED, explicit, implicit)

    def _report(self, courier: Courier, finding: _Finding) -> None:
        """Report on the association that asked.

        Raises:
            GoneError: it has ended, or the peer does not answer.
        """
        context = courier.request.context
        command = event_report(1, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, finding.event)
        courier.command(context.id, command)
        implicit = context.transfer_syntax == IMPLICIT_LITTLE
        courier.data(context.id, finding.implicit if implicit else finding.explicit, last=True)
        _, status = courier.answered(self._answer)
        if status:
            _log.warning("dimse.report.refused", status=f"{status:04X}")

    def _later(self, request: Request, checked: Future[_Finding]) -> None:
        if self._reporter is None or self._closed or checked.cancelled():
            return
        finding = checked.result()
        self._reporter.deliver(
            Report(
                organization=request.actor.organization,
                device=request.actor.id,
                calling=request.called,
                event=finding.event,
                explicit=finding.explicit,
                implicit=finding.implicit,
            )
        )
