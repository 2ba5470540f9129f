# SPDX-License-Identifier: Apache-2.0
"""One transaction for each group of records: the rows and the volume's replay position.

Invariant: a SOP Instance UID has one row in an organization. Entering the same records again, in
any order, changes nothing; of equal instances the earliest received one is the one that is kept.
"""

from collections.abc import Callable, Sequence

from radkeep.database.catalog.group import Group
from radkeep.database.catalog.known import Known
from radkeep.database.engine import Database, RuleViolationError
from radkeep.ingest.ports import Arrival, Clash, Verdict


class CatalogWriter:
    """Enters arrivals. Thread-safe; any number of processes may each have one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Known()

    def commit(
        self,
        volume: str,
        position: int,
        arrivals: Sequence[Arrival],
        *,
        durable: Callable[[], None] | None = None,
    ) -> Sequence[Verdict | Clash]:
        """Insert ``arrivals`` and set the replay position of ``volume`` to ``position``.

        STORED is also the answer for a record that is entered already at the same placement.
        Equal digests are SAME; a UID that is taken by another digest is a Clash, to be judged and
        told by ``judged``. A position never goes back. ``durable`` is called before the commit.

        Raises:
            UnavailableError: no turn to write in time; nothing was inserted.
            ArchiveFullError: the disk is full; nothing was inserted.
            IntegrityError: the catalog is damaged.
        """
        try:
            return self._commit(volume, position, arrivals, durable)
        except RuleViolationError:  # another process deleted a row that this one remembers
            return self._commit(volume, position, arrivals, durable)

    def judged(
        self, volume: str, position: int, rulings: Sequence[tuple[Arrival, Verdict]]
    ) -> None:
        """Enter the quarantine rows of CONFLICT rulings and the new replay position.

        Raises:
            UnavailableError: no turn to write in time; nothing was entered.
            ArchiveFullError: the disk is full; nothing was entered.
        """
        try:
            with self._database.write() as connection:
                group = Group(connection, self._known, volume, position)
                for arrival, verdict in rulings:
                    if verdict is Verdict.CONFLICT:
                        group.quarantine(arrival)
        except BaseException:
            self._known.clear()
            raise

    def _commit(
        self,
        volume: str,
        position: int,
        arrivals: Sequence[Arrival],
        durable: Callable[[], None] | None,
    ) -> Sequence[Verdict | Clash]:
        try:
            with self._database.write() as connection:
                group = Group(connection, self._known, volume, position)
                answers = [group.enter(arrival) for arrival in arrivals]
                group.finish()
                if durable is not None:
                    durable()
        except BaseException:
            self._known.clear()
            raise
        return answers
