# SPDX-License-Identifier: Apache-2.0
"""Storage commitment (PS3.4 Annex J): the word that an object is kept, so its sender may delete it.

Invariant: an object is committed only after all its stored bytes were read from the disk anew,
authenticated, and gave the digest that it had when it was received; and after that was audited.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import msgspec
import structlog

from radkeep.audit.events import Event, EventId, EventType, Outcome, event_by
from radkeep.audit.guard import guarded
from radkeep.audit.ports import AuditLog
from radkeep.audit.tree import merkle_root
from radkeep.dicom.commitment import CommitmentRequest, Reference
from radkeep.dicom.levels import SERIES_UID, SOP_INSTANCE, STUDY_UID
from radkeep.dicom.query import MAX_LISTED_UIDS, Level, Match, MatchKind, Query
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import RadkeepError, UnavailableError
from radkeep.domain.uid import Uid
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.retrieval.ports import CatalogReader, RecordReader, StoredInstance
from radkeep.retrieval.retrieved import Retrieved

_log: Final = structlog.get_logger()
_row: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_uids: Final = msgspec.json.Decoder(dict[str, str | list[str]]).decode


class Flaw(Enum):
    """Why an object is not committed."""

    MISSING = auto()  # nothing of that name, or nothing that this actor may know of
    OTHER_CLASS = auto()  # stored, but of another SOP class
    DAMAGED = auto()  # its bytes cannot be read, or are not those that were received


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What can be said of the objects of one request, in its order."""

    committed: Sequence[Reference]
    failed: Sequence[tuple[Reference, Flaw]]


class Commitments:
    """Checks what is kept. Thread-safe."""

    def __init__(
        self,
        *,
        catalog: CatalogReader,
        records: RecordReader,
        policy: Policy,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._policy = policy
        self._audit = audit
        self._clock = clock

    def require(self, actor: Actor) -> None:
        """Return only if ``actor`` may ask: who may store may know whether it was stored.

        Raises:
            ForbiddenError: otherwise; the refusal is audited.
        """
        with guarded(self._audit, self._clock, actor, EventId.INSTANCES_TRANSFERRED):
            self._policy.require(actor, Permission.INSTANCE_STORE, organization=actor.organization)

    def check(
        self, actor: Actor, request: CommitmentRequest, *, ended: Callable[[], bool]
    ) -> Commitment:
        """Read everything that ``request`` names and return what was found, once it is audited.

        Raises:
            ForbiddenError: ``actor`` may not ask.
            AuditUnavailableError: the result cannot be audited, so nothing is committed.
            UnavailableError: ``ended`` says that nobody waits any more.
        """
        self.require(actor)
        stored = self._stored(actor.organization, request.references)
        committed: list[tuple[Reference, StoredInstance]] = []
        failed: list[tuple[Reference, Flaw]] = []
        for reference in request.references:
            if ended():
                raise UnavailableError("the check was given up")
            instance = stored.get(reference.sop_instance)
            flaw = self._flaw(reference, instance)
            if instance is not None and flaw is None:
                committed.append((reference, instance))
            else:
                failed.append((reference, flaw or Flaw.MISSING))
        self._audit.append(*self._events(actor, request.transaction, committed, failed))
        return Commitment(committed=[one for one, _ in committed], failed=failed)

    def _stored(
        self, organization: str, references: Sequence[Reference]
    ) -> Mapping[Uid, StoredInstance]:
        """Return what the catalog has of ``references``, by SOP Instance UID."""
        places: dict[tuple[Uid, Uid], list[Uid]] = {}
        for start in range(0, len(references), MAX_LISTED_UIDS):
            some = references[start : start + MAX_LISTED_UIDS]
            names = tuple(one.sop_instance for one in some)
            asked = Query(
                filters=(Match((SOP_INSTANCE,), MatchKind.LIST, names),), limit=len(names)
            )
            for row in map(_row, self._catalog.search(organization, Level.INSTANCE, asked).rows):
                place = _uid(row, STUDY_UID), _uid(row, SERIES_UID)
                places.setdefault(place, []).append(_uid(row, SOP_INSTANCE))
        found: dict[Uid, StoredInstance] = {}
        for (study, series), instances in places.items():
            only = instances[0] if len(instances) == 1 else None
            for instance in self._catalog.instances(organization, study, series, only):
                found[instance.sop_instance] = instance
        return found

    def _flaw(self, reference: Reference, instance: StoredInstance | None) -> Flaw | None:
        if instance is None:
            return Flaw.MISSING
        if instance.sop_class != reference.sop_class:
            return Flaw.OTHER_CLASS
        digest, length = hashlib.sha256(), 0
        try:
            for piece in Retrieved(instance, self._records).data_set():
                digest.update(piece)
                length += len(piece)
        except RadkeepError as error:
            _log.error("commitment.damaged", code=error.code, reason=str(error))
            return Flaw.DAMAGED
        if (digest.digest(), length) != (instance.digest, instance.data_set_length):
            _log.error("commitment.damaged", code="digest")
            return Flaw.DAMAGED
        return None

    def _events(
        self,
        actor: Actor,
        transaction: Uid,
        committed: Sequence[tuple[Reference, StoredInstance]],
        failed: Sequence[tuple[Reference, Flaw]],
    ) -> Iterator[Event]:
        """Yield an entry for each study that objects were committed of, and one for the rest."""
        studies: dict[Uid, list[StoredInstance]] = {}
        for _, instance in committed:
            studies.setdefault(instance.study, []).append(instance)
        for study, instances in studies.items():
            yield event_by(
                actor,
                EventId.INSTANCES_TRANSFERRED,
                time=self._clock.now(),
                type=EventType.COMMITTED,
                study=str(study),
                patient=instances[0].patient,
                count=len(instances),
                digest=merkle_root(one.digest for one in instances).hex(),
                detail={"transaction": str(transaction)},
            )
        if failed:
            flaws = sorted({flaw.name.lower() for _, flaw in failed})
            yield event_by(
                actor,
                EventId.INSTANCES_TRANSFERRED,
                time=self._clock.now(),
                type=EventType.COMMITTED,
                outcome=Outcome.MINOR_FAILURE,
                count=len(failed),
                detail={"transaction": str(transaction), "reason": ",".join(flaws)},
            )


def _uid(row: Mapping[str, msgspec.Raw], tag: int) -> Uid:
    return Uid(_uids(row[f"{tag:08X}"])["Value"][0])
