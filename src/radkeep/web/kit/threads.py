# SPDX-License-Identifier: Apache-2.0
"""The one bounded pool in which everything below the web doors runs.

Invariant: at most ``workers`` use cases run at once and at most ``waiting`` wait; more are told to
come again instead of piling up.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from radkeep.domain.errors import UnavailableError

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Threads:
    """Runs synchronous work for one event loop."""

    def __init__(self, *, workers: int = 8, waiting: int = 512) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="web")
        self._limit = workers + waiting
        self._busy = 0  # touched on the loop's thread only

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
        self._pool.shutdown(wait=True, cancel_futures=True)
