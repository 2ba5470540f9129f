# SPDX-License-Identifier: Apache-2.0
"""How much memory instances may hold while they come in.

Invariant: all receptions of a process together hold at most ``limit`` bytes beyond a small free
share of each, so that many hostile ones cannot take all memory, and usual ones never notice.
"""

from threading import Lock
from typing import Final

from radkeep.domain.errors import UnavailableError

LIMIT: Final = 256 << 20  # bytes: ten of the worst instances there are, beside any number of usual
FREE: Final = 256 << 10  # bytes of each reception that are not counted; usual heads take 4 KiB


class Held:
    """Counts bytes. Thread-safe."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._total = 0
        self._lock = Lock()

    def change(self, before: int, after: int) -> None:
        """Count ``after`` bytes in the place of ``before``.

        Raises:
            UnavailableError: they would be too many; nothing is changed.
        """
        with self._lock:
            total = self._total + after - before
            if after > before and total > self._limit:
                raise UnavailableError("too many large instances are coming in at once")
            self._total = total
