# SPDX-License-Identifier: Apache-2.0
"""The catalog as the rest of the house sees it: both ports and the numbers, over one file.

Invariant: the file is derived. Losing it loses nothing: ``rebuilding`` makes it anew beside the
old one, and only a finished one takes its place.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from radkeep.database.catalog import positions
from radkeep.database.catalog.commit import CatalogWriter
from radkeep.database.catalog.instances import instances
from radkeep.database.catalog.overlay import overlay, version
from radkeep.database.catalog.quarantine import Quarantined, quarantined
from radkeep.database.catalog.search import matchable, search
from radkeep.database.catalog.statistics import Statistics, statistics
from radkeep.database.engine import Database
from radkeep.database.migrate import migrate, steps_of
from radkeep.dicom.query import Level, Match, Query
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Arrival, Clash, Verdict
from radkeep.retrieval.ports import Changes, Page, StoredInstance


class Catalog:
    """Implements ``ingest.ports.CatalogWriter`` and ``retrieval.ports.CatalogReader``.

    Thread-safe; any number of processes may open the same file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = CatalogWriter(database)

    @classmethod
    def open(cls, path: Path, key: bytes) -> Self:
        """Open the catalog at ``path``; make it, or bring it to this version's schema.

        Raises:
            IntegrityError: ``key`` is not its key, or it is damaged: rebuild it.
            ConfigError: another version made it: rebuild it.
            UnavailableError: it cannot be opened or is busy.
        """
        database = Database(path, key, synchronous="NORMAL")
        try:
            migrate(database, steps_of("catalog"))
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def database(self) -> Database:
        """Return the file beneath, for backups and checks."""
        return self._database

    def commit(
        self,
        volume: str,
        position: int,
        arrivals: Sequence[Arrival],
        *,
        durable: Callable[[], None] | None = None,
    ) -> Sequence[Verdict | Clash]:
        """Enter a group of arrivals; see ``CatalogWriter.commit``."""
        return self._writer.commit(volume, position, arrivals, durable=durable)

    def judged(
        self, volume: str, position: int, rulings: Sequence[tuple[Arrival, Verdict]]
    ) -> None:
        """Enter rulings on clashes; see ``CatalogWriter.judged``."""
        self._writer.judged(volume, position, rulings)

    def search(self, organization: str, level: Level, query: Query) -> Page:
        """Return one page of what matches; see ``catalog.search.search``."""
        return search(self._database, organization, level, query)

    def matchable(self, level: Level, match: Match) -> bool:
        """Tell whether ``search`` can match a key; see ``catalog.search.matchable``."""
        return matchable(level, match)

    def instances(
        self,
        organization: str,
        study: Uid,
        series: Uid | None = None,
        sop_instance: Uid | None = None,
    ) -> Sequence[StoredInstance]:
        """Return where instances lie; see ``catalog.instances.instances``."""
        return instances(self._database, organization, study, series, sop_instance)

    def overlaid(self) -> int:
        """Return the version of the registry's deletions that the catalog shows."""
        return version(self._database)

    def overlay(self, changes: Changes, *, anew: bool = False) -> int:
        """Hide and show what the registry tells; see ``catalog.overlay.overlay``."""
        return overlay(self._database, changes, anew=anew)

    def position(self, volume: str) -> int:
        """Return the bytes of ``volume`` whose records are entered; 0 when never met."""
        return positions.position(self._database, volume)

    def positions(self) -> Mapping[str, int]:
        """Return the position of every volume that was ever met."""
        return positions.positions(self._database)

    def quarantined(
        self, organization: str, *, limit: int = 100, offset: int = 0
    ) -> Sequence[Quarantined]:
        """Return the instances in quarantine, the latest first."""
        return quarantined(self._database, organization, limit=limit, offset=offset)

    def statistics(self, organization: str) -> Statistics:
        """Return the numbers of the status page."""
        return statistics(self._database, organization)

    def integrity(self) -> Sequence[str]:
        """Return the faults of the file; none when it is sound. Reads all of it."""
        return self._database.integrity()

    def close(self) -> None:
        """Close the file."""
        self._database.close()


@contextmanager
def rebuilding(path: Path, key: bytes) -> Iterator[Catalog]:
    """Give an empty catalog that replaces the one at ``path`` when the block ends well.

    Until then the old file stays as it is. Nobody may have the catalog open meanwhile; the data
    directory's lock sees to that.

    Raises:
        ArchiveFullError: no room.
        UnavailableError: the disk fails.
    """
    fresh = path.with_name(f"{path.name}.rebuild")
    _remove(fresh)
    catalog = Catalog.open(fresh, key)
    try:
        yield catalog
    except BaseException:
        catalog.close()
        _remove(fresh)
        raise
    catalog.close()  # the last connection empties the log into the file and removes it
    _sync(fresh)
    # The log goes before the file that it belongs to: an old log must never meet the new file.
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    fresh.replace(path)
    _sync(path.parent)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
