# SPDX-License-Identifier: Apache-2.0
"""Has the next object read and opened while the last one is on its way.

Invariant: one object is read ahead, in one thread, and what is handed out is what would have been
read then.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from radkeep.dimse.suboperations import Parcel, Routes
from radkeep.retrieval.retrieved import Retrieved


class Ahead:
    """Makes parcels. Belongs to one thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dimse-ahead")
        self._next: tuple[Routes, Retrieved, Future[Parcel | None]] | None = None

    def parcel(self, routes: Routes, instance: Retrieved, then: Retrieved | None) -> Parcel | None:
        """Return what ``routes`` make of ``instance``; begin to read ``then``."""
        ready, self._next = self._next, None
        if ready is not None and ready[0] is routes and ready[1] is instance:
            made = ready[2].result()
        else:
            made = routes.parcel(instance)
        if then is not None:
            self._next = routes, then, self._thread.submit(routes.parcel, then)
        return made

    def close(self) -> None:
        """End the thread; what it reads now is dropped."""
        self._thread.shutdown(cancel_futures=True)
