# SPDX-License-Identifier: Apache-2.0
"""Violations on their way to the audit log: each is counted, none can flood it.

Invariant: the first incident of a kind, address and device is recorded at once, equal ones within
the interval become one record with their count; memory is bounded whatever the peers do.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from radkeep.dimse.ports import Incident, Violation

_KINDS: Final = 1_024  # remembered at once; further ones share one entry per violation

_log: Final = structlog.get_logger()


@dataclass(slots=True)
class _Window:
    opened: float
    incident: Incident
    more: int = 0


class Incidents:
    """Coalesces incidents; lives on the event loop."""

    def __init__(self, record: Callable[[Incident], None], interval: float) -> None:
        """Send records by ``record``, which must not block; ``interval`` in seconds."""
        self._record, self._interval = record, interval
        self._windows: dict[tuple[Violation, str, str, str], _Window] = {}

    def note(self, incident: Incident, now: float) -> None:
        """Record ``incident``, now or together with others like it."""
        device = incident.actor.id if incident.actor is not None else ""
        key = (incident.violation, incident.detail, incident.address, device)
        if key not in self._windows and len(self._windows) >= _KINDS:
            incident = replace(incident, detail="of many kinds", address="", actor=None, session="")
            key = (incident.violation, incident.detail, "", "")
        window = self._windows.get(key)
        if window is not None:
            window.more += incident.count
            return
        self._windows[key] = _Window(now, incident)
        _log.warning(
            "dimse.violation",
            violation=incident.violation,
            detail=incident.detail,
            address=incident.address,
            session=incident.session,
        )
        self._record(incident)

    def sweep(self, now: float) -> None:
        """Close windows that are over and record what they counted."""
        over = [key for key, w in self._windows.items() if now - w.opened >= self._interval]
        for key in over:
            window = self._windows.pop(key)
            if window.more:
                self._record(replace(window.incident, count=window.more))

    def close(self) -> None:
        """Record what is still counted."""
        self.sweep(float("inf"))
