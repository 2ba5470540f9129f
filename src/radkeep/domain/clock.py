# SPDX-License-Identifier: Apache-2.0
"""Time as an argument, so that tests need no patches.

Invariant: all times are aware and in UTC; nothing else in the house reads the clock.
"""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the clock
