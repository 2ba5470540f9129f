# SPDX-License-Identifier: Apache-2.0
"""The audit of receiving: Begin before the first record of a study, Transferred for what came.

Invariant: no record reaches the volumes before its Begin entry is durable; every acknowledged
instance is counted in a Transferred entry within a second, at the end, or after the next start.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from threading import Lock
from typing import Final, Unpack

from radkeep.audit.events import (
    Action,
    Event,
    EventFields,
    EventId,
    EventType,
    Outcome,
    event_by,
)
from radkeep.audit.ports import AuditLog
from radkeep.audit.tree import merkle_root
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import AuditUnavailableError, InstanceConflictError, RadkeepError
from radkeep.domain.uid import Uid

MAX_INSTANCES: Final = 1_000  # of one Transferred entry
MAX_REFUSALS: Final = 20  # told one by one, of each reason in a transfer
AUDIT_DEADLINE: Final = 5.0  # seconds


class StudyTransfer:
    """One study that one association or request is sending."""

    def __init__(
        self,
        study: Uid,
        begun: Future[tuple[int, ...]],
        tell: Callable[["StudyTransfer", list[bytes]], None],
        closed: Callable[[], bool],
    ) -> None:
        self.id: Final = secrets.token_hex(16)
        self.study: Final = study
        self._begun = begun
        self._tell = tell
        self._closed = closed
        self._lock = Lock()
        self._digests: list[bytes] = []

    def wait_begun(self) -> None:
        """Return once the Begin entry is durable.

        Raises:
            AuditUnavailableError: it is not, or not in time.
        """
        try:
            self._begun.result(AUDIT_DEADLINE)
        except TimeoutError:
            raise AuditUnavailableError("the audit log does not answer") from None

    def arrived(self, digest: bytes) -> None:
        """Count one acknowledged instance; called by the writer's thread."""
        with self._lock:
            self._digests.append(digest)
            due = len(self._digests) >= MAX_INSTANCES or self._closed()
        if due:
            self.flush()

    def flush(self) -> None:
        """Emit Transferred for what arrived since the last call."""
        with self._lock:
            digests, self._digests = self._digests, []
        if digests:
            self._tell(self, digests)


class Transfer:
    """What one association or HTTP request sends: any number of studies, by one actor."""

    def __init__(
        self,
        actor: Actor,
        *,
        protocol: str,
        audit: AuditLog,
        clock: Clock,
        ended: Callable[["Transfer"], None],
    ) -> None:
        self.actor: Final = actor
        self.protocol: Final = protocol
        self._audit = audit
        self._clock = clock
        self._ended = ended
        self._closed = False
        self._studies: dict[Uid, StudyTransfer] = {}
        self._refusals = Counter[str]()  # by reason
        self._untold = Counter[str]()
        self._lock = Lock()

    def study(self, study: Uid, *, patient: str) -> StudyTransfer:
        """Return the transfer of ``study``; the first call sends its Begin entry."""
        known = self._studies.get(study)
        if known is None:
            begin = self._event(EventId.BEGIN_TRANSFERRING, study, patient=patient)
            begun = self._audit.submit([begin])
            known = StudyTransfer(study, begun, self._transferred, self.is_closed)
            self._studies[study] = known
        return known

    def flush(self) -> None:
        """Emit what arrived since the last call, study by study, and what was only counted."""
        for study in list(self._studies.values()):
            study.flush()
        with self._lock:
            untold, self._untold = self._untold, Counter()
        for reason, count in untold.items():
            self._tell_refused(None, EventType.REFUSED, reason, count)

    def close(self) -> None:
        """End the transfer; an instance that is not answered yet is told when it arrives."""
        self._closed = True
        self._ended(self)
        self.flush()

    def is_closed(self) -> bool:
        """Tell whether nobody will flush what still arrives."""
        return self._closed

    def refused(self, error: RadkeepError, study: Uid | None = None) -> None:
        """Record that an instance was refused, and why; of many alike the later ones in sum.

        A refused part of a request has a few bytes, its entry in the log some hundred.
        """
        if isinstance(error, InstanceConflictError):
            self._tell_refused(study, EventType.QUARANTINED, error.code)
            return
        with self._lock:
            self._refusals[error.code] += 1
            if self._refusals[error.code] > MAX_REFUSALS and not self._closed:
                self._untold[error.code] += 1
                return
        self._tell_refused(study, EventType.REFUSED, error.code)

    def _tell_refused(
        self, study: Uid | None, kind: EventType, reason: str, count: int = 0
    ) -> None:
        self._audit.submit(
            [
                self._event(
                    EventId.INSTANCES_TRANSFERRED,
                    study,
                    type=kind,
                    outcome=Outcome.MINOR_FAILURE,
                    count=count,
                    detail={"protocol": self.protocol, "reason": reason},
                )
            ]
        )

    def _transferred(self, study: StudyTransfer, digests: list[bytes]) -> None:
        self._audit.submit(
            [
                self._event(
                    EventId.INSTANCES_TRANSFERRED,
                    study.study,
                    count=len(digests),
                    digest=merkle_root(digests).hex(),
                    detail={"protocol": self.protocol, "transfer": study.id},
                )
            ]
        )

    def _event(self, event: EventId, study: Uid | None, /, **fields: Unpack[EventFields]) -> Event:
        fields["action"], fields["study"] = Action.CREATE, str(study or "")
        fields.setdefault("detail", {"protocol": self.protocol})
        return event_by(self.actor, event, time=self._clock.now(), **fields)

    def now(self) -> datetime:
        """Return the time by which this transfer stamps what it receives."""
        return self._clock.now()
