# SPDX-License-Identifier: Apache-2.0
"""Queries of every kind: QIDO-RS, C-FIND, the portal's list.

Invariant: a query sees one organization, the actor's own, and is in the audit log before its
answer leaves.
"""

from radkeep.audit.events import Action, EventId, event_by
from radkeep.audit.guard import guarded
from radkeep.audit.ports import AuditLog
from radkeep.dicom.query import Level, Match, Query
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.retrieval.ports import CatalogReader, Page


class Search:
    """Finds studies, series and instances. Thread-safe."""

    def __init__(
        self, *, catalog: CatalogReader, policy: Policy, audit: AuditLog, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._policy = policy
        self._audit = audit
        self._clock = clock

    def matchable(self, level: Level, match: Match) -> bool:
        """Tell whether ``run`` can match this key, so that a door can leave it out and say so."""
        return self._catalog.matchable(level, match)

    def run(self, actor: Actor, level: Level, query: Query, *, protocol: str) -> Page:
        """Return one page of what matches ``query`` at ``level``.

        Raises:
            ForbiddenError: ``actor`` may not query.
            InvalidRequestError: a key cannot be matched at this level.
            AuditUnavailableError: the query cannot be audited.
        """
        with guarded(self._audit, self._clock, actor, EventId.QUERY, detail={"protocol": protocol}):
            self._policy.require(actor, Permission.STUDY_QUERY, organization=actor.organization)
        page = self._catalog.search(actor.organization, level, query)
        self._audit.append(
            event_by(
                actor,
                EventId.QUERY,
                time=self._clock.now(),
                action=Action.EXECUTE,
                count=len(page.rows),
                detail={"protocol": protocol, "level": level, "keys": ",".join(query.keys())},
            )
        )
        return page
