# SPDX-License-Identifier: Apache-2.0
"""Refusals are audited like deeds.

Invariant: what a guarded use case refuses stands in the log before its caller hears of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Unpack

from radkeep.audit.events import EventFields, EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import AuditUnavailableError, RadkeepError


@contextmanager
def guarded(
    audit: AuditLog,
    clock: Clock,
    actor: Actor,
    event: EventId,
    **fields: Unpack[EventFields],
) -> Iterator[None]:
    """Run a use case; record a RadkeepError as a refusal of ``event``, then let it go on.

    Args:
        audit: where the refusal goes.
        clock: for its time.
        actor: who was refused.
        event: what kind of thing was tried.
        fields: more of the event, such as ``study``; ``detail`` gets the error's code besides.

    Raises:
        AuditUnavailableError: the refusal cannot be audited; the refusal itself is its cause.
    """
    try:
        yield
    except AuditUnavailableError:
        raise  # the log would not take this one, either
    except RadkeepError as error:
        fields["type"], fields["outcome"] = EventType.REFUSED, Outcome.SERIOUS_FAILURE
        fields["detail"] = {**fields.get("detail", {}), "code": error.code}
        try:
            audit.append(event_by(actor, event, time=clock.now(), **fields))
        except AuditUnavailableError as unavailable:
            raise unavailable from error
        raise
