# SPDX-License-Identifier: Apache-2.0
"""The bounded pools in which everything below the web doors runs.

Invariant: at most ``workers`` use cases run at once and at most ``waiting`` wait; more are told to
come again instead of piling up. What strangers make us do has threads of its own: a flood of
sign-ins, each a slow hash, takes none from people at work. So have pictures, which wait for a
worker that may have to be killed first.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from radkeep.domain.errors import UnavailableError

PICTURES: Final = 4  # threads; the sandbox lets two work and few wait
ENTRY: Final = 4  # threads for strangers; two passwords are checked at once
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Threads:
    """Runs synchronous work for one event loop."""

    def __init__(
        self,
        *,
        workers: int = 8,
        waiting: int = 512,
        entry: int = ENTRY,
        pictures: int = PICTURES,
    ) -> None:
        """Make the pool and, with so many threads, those for strangers and for pictures."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="web")
        self._entry = self._beside(entry, waiting)
        self._pictures = self._beside(pictures, waiting)
        self._limit = workers + waiting
        self._busy = 0  # touched on the loop's thread only

    def for_strangers(self) -> "Threads":
        """Return the pool for requests that people send before they are known."""
        return self._entry

    def for_pictures(self) -> "Threads":
        """Return the pool for requests that wait for the sandbox."""
        return self._pictures

    def _beside(self, workers: int, waiting: int) -> "Threads":
        if not workers:
            return self
        return Threads(workers=workers, waiting=waiting, entry=0, pictures=0)

    async def run(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return what ``work`` returns, called in the pool.

        Raises:
            UnavailableError: too much waits already.
        """
        if self._busy >= self._limit:
            raise UnavailableError("the server is busy")
        return await self.resume(work, *args, **kwargs)

    async def resume(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return what ``work`` returns; for requests that were admitted by ``run`` before."""
        self._busy += 1
        future = self._pool.submit(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        for other in (self._entry, self._pictures):
            if other is not self:
                other.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
