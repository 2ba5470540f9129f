# SPDX-License-Identifier: Apache-2.0
"""The registry's decisions over what the volumes hold, on every way out.

Invariant: nothing is read from the catalog before it shows the deletions that the registry knows;
where that cannot be had, the reading fails.
"""

from threading import Lock

from radkeep.retrieval.ports import DeletionStore, OverlaidCatalog


class Overlay:
    """Keeps one process's catalog abreast of the registry. Thread-safe."""

    def __init__(self, *, deletions: DeletionStore, catalog: OverlaidCatalog) -> None:
        """Show everything anew: a replay may have entered what is deleted.

        Raises:
            UnavailableError: the catalog or the registry is busy for too long.
        """
        self._deletions = deletions
        self._catalog = catalog
        self._lock = Lock()
        self._shown = catalog.overlay(deletions.changes, anew=True)

    def refresh(self) -> None:
        """Return once the catalog shows what the registry knows; mostly a look at one row.

        Raises:
            UnavailableError: the catalog is busy for too long.
        """
        if self._deletions.version() == self._shown:
            return
        with self._lock:
            known = self._deletions.version()
            if known == self._shown:
                return
            if self._catalog.overlaid() != known:
                known = self._catalog.overlay(self._deletions.changes)
            self._shown = known
