# SPDX-License-Identifier: Apache-2.0
"""Deleting, and undoing it.

Invariant: nothing is destroyed. A deletion is a row of the registry, audited before and after, and
what it names is on no way out while it stands.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from radkeep.audit.events import Action, EventId, EventType
from radkeep.audit.guard import guarded
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import InvalidRequestError, NotFoundError, RadkeepError
from radkeep.domain.uid import Uid
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy, own_organization
from radkeep.retrieval.overlay import Overlay
from radkeep.retrieval.ports import Deletion, DeletionStore

MAX_REASON: Final = 200  # characters
MAX_LISTED: Final = 500


class Deletions:
    """Hides instances and shows them again. Thread-safe."""

    def __init__(
        self,
        *,
        catalog: Overlay,
        store: DeletionStore,
        policy: Policy,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._policy = policy
        self._audit = audit
        self._clock = clock
        self._deeds = Deeds(policy=policy, audit=audit, clock=clock)

    def delete(
        self,
        actor: Actor,
        study: Uid,
        series: Uid | None = None,
        sop_instance: Uid | None = None,
        *,
        reason: str = "",
        protocol: str,
    ) -> Deletion:
        """Hide what is there now of a study, a series, or one instance.

        What arrives later in the same study is not hidden.

        Args:
            actor: who deletes.
            study: always named.
            series: narrows to one series.
            sop_instance: narrows to one instance.
            reason: why, in the actor's words; at most MAX_REASON characters, no patient data.
            protocol: the door, as the audit log shall show it.

        Raises:
            ForbiddenError: ``actor`` may not delete.
            NotFoundError: no such object, or it is deleted already.
            InvalidRequestError: ``reason`` is too long or does not print, or ``actor`` serves
                all organizations and named none.
            AuditUnavailableError: it cannot be audited, so it is not done.
        """
        detail = {"protocol": protocol}
        detail |= {"series": str(series)} if series else {}
        detail |= {"instance": str(sop_instance)} if sop_instance else {}
        with guarded(
            self._audit,
            self._clock,
            actor,
            EventId.STUDY_DELETED,
            action=Action.DELETE,
            study=str(study),
            detail=detail,
        ):
            self._policy.require(actor, Permission.STUDY_DELETE, organization=actor.organization)
            organization = own_organization(actor, "what is deleted")
            if len(reason) > MAX_REASON or not (reason or "-").isprintable():
                raise InvalidRequestError("the reason is too long or does not print")
            found = self._catalog.instances(organization, study, series, sop_instance)
            if not found:
                raise NotFoundError("no such study, series or instance")
        with self._deeds.change(
            actor,
            "study.delete",
            kind=EventType.NONE,
            action=Action.DELETE,
            organization=organization,
            detail=detail | ({"reason": reason} if reason else {}),
            event=EventId.STUDY_DELETED,
            about={"study": str(study), "patient": found[0].patient, "count": len(found)},
        ):
            made = self._store.add(
                Deletion(
                    id=0,
                    organization=organization,
                    study=study,
                    series=series,
                    sop_instance=sop_instance,
                    instances=len(found),
                    reason=reason,
                    deleted=self._clock.now(),
                    deleted_by=actor.name or actor.id,
                ),
                [each.sop_instance for each in found],
            )
        self._show()
        return made

    def undo(self, actor: Actor, number: int) -> Deletion:
        """Show again what the deletion ``number`` hid, where no other deletion hides it.

        Raises:
            ForbiddenError: ``actor`` may not delete.
            NotFoundError: no such deletion, or it is undone already.
            AuditUnavailableError: it cannot be audited, so it is not done.
        """
        detail = {"deletion": str(number)}
        with guarded(
            self._audit,
            self._clock,
            actor,
            EventId.STUDY_DELETED,
            action=Action.UPDATE,
            detail=detail,
        ):
            self._policy.require(actor, Permission.STUDY_DELETE, organization=actor.organization)
            organization = own_organization(actor, "a deletion")
            known = self._store.one(organization, number)
            if known is None or known.undone is not None:
                raise NotFoundError("no such deletion, or it is undone")
        with self._deeds.change(
            actor,
            "study.undelete",
            kind=EventType.DELETION_UNDONE,
            action=Action.UPDATE,
            organization=organization,
            detail=detail,
            event=EventId.STUDY_DELETED,
            about={"study": str(known.study), "count": known.instances},
        ):
            if not self._store.undo(known, at=self._clock.now(), by=actor.name or actor.id):
                raise NotFoundError("no such deletion, or it is undone")
        self._show()
        return self._store.one(organization, number) or known

    def list(
        self, actor: Actor, *, before: int | None = None, limit: int = 100
    ) -> Sequence[Deletion]:
        """Return the organization's deletions, the latest first, at most MAX_LISTED.

        Raises:
            ForbiddenError: ``actor`` may not delete.
        """
        self._policy.require(actor, Permission.STUDY_DELETE, organization=actor.organization)
        organization = own_organization(actor, "a deletion")
        return self._store.of(organization, before=before, limit=max(1, min(limit, MAX_LISTED)))

    def _show(self) -> None:
        """Bring the catalog up to date now; if it is busy, the next reader does it first."""
        try:
            self._catalog.refresh()
        except RadkeepError as error:
            structlog.get_logger().warning("overlay.late", code=error.code)
