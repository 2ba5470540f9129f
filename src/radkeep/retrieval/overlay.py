# SPDX-License-Identifier: Apache-2.0
"""The catalog as every way out reads it: with the registry's decisions over what volumes hold.

Invariant: nothing is read from the catalog before it shows the deletions that the registry knows;
where that cannot be had, the reading fails.
"""

from collections.abc import Sequence
from threading import Lock

from radkeep.dicom.query import Level, Match, Query
from radkeep.domain.uid import Uid
from radkeep.retrieval.ports import DeletionStore, OverlaidCatalog, Page, StoredInstance


class Overlay:
    """A ``CatalogReader`` that keeps its catalog abreast of the registry. Thread-safe."""

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

    def search(self, organization: str, level: Level, query: Query) -> Page:
        """Return the entities that match and are not deleted."""
        self.refresh()
        return self._catalog.search(organization, level, query)

    def matchable(self, level: Level, match: Match) -> bool:
        """Tell whether ``search`` can match this key at ``level``."""
        return self._catalog.matchable(level, match)

    def instances(
        self,
        organization: str,
        study: Uid,
        series: Uid | None = None,
        sop_instance: Uid | None = None,
    ) -> Sequence[StoredInstance]:
        """Return the instances that are not deleted, in Instance Number order."""
        self.refresh()
        return self._catalog.instances(organization, study, series, sop_instance)
