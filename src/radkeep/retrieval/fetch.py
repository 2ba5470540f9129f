# SPDX-License-Identifier: Apache-2.0
"""The one way out: every stored byte that leaves, through whatever door.

Invariant: policy first, audit before the first byte, and each byte authenticated before it is
yielded. What may not be seen is told apart from what does not exist by nobody.
"""

from collections.abc import Sequence

from radkeep.audit.events import Action, EventId
from radkeep.audit.guard import guarded
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import NotFoundError
from radkeep.domain.uid import Uid
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.retrieval.accesses import Accesses
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.ports import CatalogReader, RecordReader
from radkeep.retrieval.retrieved import Retrieved


class Fetch:
    """Gives out instances. Thread-safe."""

    def __init__(
        self,
        *,
        catalog: CatalogReader,
        records: RecordReader,
        policy: Policy,
        audit: AuditLog,
        clock: Clock,
        decoder: Decoder | None = None,
    ) -> None:
        self._decoder = decoder
        self._catalog = catalog
        self._records = records
        self._policy = policy
        self._audit = audit
        self._clock = clock
        self._accesses = Accesses(audit=audit, clock=clock)

    def instances(
        self,
        actor: Actor,
        study: Uid,
        series: Uid | None = None,
        sop_instance: Uid | None = None,
        *,
        purpose: str,
    ) -> Sequence[Retrieved]:
        """Return the instances of a study, a series, or the one named.

        Args:
            actor: who asks.
            study: always named, so that a right to a study can be checked.
            series: narrows to one series.
            sop_instance: narrows to one instance.
            purpose: the door and what for, as the audit log shall show it ("wado-rs", "export").

        Raises:
            ForbiddenError: ``actor`` may read nothing at all.
            NotFoundError: no such object, or not for this actor.
            AuditUnavailableError: the access cannot be audited.
        """
        with guarded(
            self._audit,
            self._clock,
            actor,
            EventId.INSTANCES_ACCESSED,
            action=Action.READ,
            study=str(study),
            detail={"purpose": purpose},
        ):
            self._policy.require(actor, Permission.STUDY_READ, organization=actor.organization)
            found = self._catalog.instances(actor.organization, study, series, sop_instance)
            if not found:
                raise NotFoundError("no such study, series or instance")
        patient = found[0].patient
        self._accesses.note(actor, study, patient=patient, count=len(found), purpose=purpose)
        return [Retrieved(stored, self._records, self._decoder) for stored in found]
