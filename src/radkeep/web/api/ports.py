# SPDX-License-Identifier: Apache-2.0
"""What the JSON API needs beyond the use cases of identity."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from radkeep.audit.events import Event
from radkeep.domain.actor import Actor


class StatusReport(Protocol):
    """The state of the server and of the actor's organization."""

    def __call__(self, actor: Actor, /) -> Mapping[str, object]:
        """Return values that JSON can hold; no patient data."""
        ...


class Trail(Protocol):
    """The audit log as its readers may see it."""

    def tail(self, actor: Actor, count: int) -> Sequence[tuple[int, str, Event]]:
        """Return index, process and event of the last entries, the oldest first.

        Only those of the actor's organization, unless it serves all; the reading is itself
        audited before anything is returned.

        Raises:
            ForbiddenError: ``actor`` may not read the audit log.
            IntegrityError: the log is damaged.
        """
        ...
