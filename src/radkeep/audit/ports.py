# SPDX-License-Identifier: Apache-2.0
"""How a use case writes the audit log."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from radkeep.audit.events import Event


class AuditLog(Protocol):
    """Appends to the one audit log. An index is given only after the entry is durable."""

    def submit(self, events: Sequence[Event]) -> Future[tuple[int, ...]]:
        """Send ``events`` and return at once; the future holds their indices, or an error.

        The future's error is AuditUnavailableError when the log cannot append.
        """
        ...

    def append(self, *events: Event) -> tuple[int, ...]:
        """Append ``events`` and return their indices once they are durable.

        Raises:
            AuditUnavailableError: the log cannot append, or did not answer within 5 s.
        """
        ...
