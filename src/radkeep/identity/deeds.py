# SPDX-License-Identifier: Apache-2.0
"""How a change of the registry is decided and audited: intent, effect, outcome.

Invariant: a change happens only after its intent is durable in the audit log, and a refused one
leaves a refusal there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from radkeep.audit.events import Action, EventFields, EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.clock import Clock
from radkeep.domain.errors import ForbiddenError, RadkeepError
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy


class Deeds:
    """Runs changes. Thread-safe."""

    def __init__(self, *, policy: Policy, audit: AuditLog, clock: Clock) -> None:
        self._policy = policy
        self._audit = audit
        self._clock = clock

    def require(
        self, actor: Actor, permission: Permission, *, organization: str, deed: str
    ) -> None:
        """Ask the policy, and record a refusal.

        Raises:
            ForbiddenError: ``actor`` may not.
        """
        try:
            self._policy.require(actor, permission, organization=organization)
        except ForbiddenError as error:
            self.refused(actor, deed, str(error))
            raise

    def require_at_host(self, actor: Actor, deed: str) -> None:
        """Let only the host's own operator pass, and record a refusal.

        Raises:
            ForbiddenError: ``actor`` is somebody else.
        """
        if actor.kind is not ActorKind.LOCAL:
            self.refused(actor, deed, "not at the host")
            raise ForbiddenError("only at the host itself")

    def refused(self, actor: Actor, deed: str, reason: str) -> None:
        """Record that ``actor`` was refused ``deed``."""
        self._audit.append(
            event_by(
                actor,
                EventId.SECURITY_ALERT,
                time=self._clock.now(),
                type=EventType.REFUSED,
                outcome=Outcome.MINOR_FAILURE,
                detail={"deed": deed, "reason": reason},
            )
        )

    @contextmanager
    def change(
        self,
        actor: Actor,
        deed: str,
        *,
        kind: EventType,
        action: Action,
        organization: str,
        detail: Mapping[str, str],
        event: EventId = EventId.SECURITY_ALERT,
        about: EventFields | None = None,
    ) -> Iterator[None]:
        """Audit the block as ``deed``. Decide first: this decides nothing.

        ``about`` names the study, patient and count of a deed that has them.

        Raises:
            AuditUnavailableError: the intent is not durable, so the block did not run; or the
                outcome is not, and the log holds the intent alone.
        """
        base = {"deed": deed, **detail}

        def tell(outcome: Outcome, **more: str) -> int:
            fields: EventFields = {
                **(about or {}),
                "type": kind,
                "action": action,
                "outcome": outcome,
                "organization": organization,
                "detail": base | more,
            }
            return self._audit.append(event_by(actor, event, time=self._clock.now(), **fields))[0]

        intent = str(tell(Outcome.SUCCESS, phase="intent"))
        try:
            yield
        except RadkeepError as error:
            tell(Outcome.MINOR_FAILURE, phase="outcome", intent=intent, error=error.code)
            raise
        except BaseException:
            tell(Outcome.MAJOR_FAILURE, phase="outcome", intent=intent, error="internal")
            raise
        tell(Outcome.SUCCESS, phase="outcome", intent=intent)
