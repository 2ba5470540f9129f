# SPDX-License-Identifier: Apache-2.0
"""What people deleted from the archive.

Invariant: every change takes the next version, in the same transaction; no row is ever removed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from radkeep.database.engine import Connection, Database, Row
from radkeep.database.registry.columns import stamp, time
from radkeep.domain.uid import Uid
from radkeep.retrieval.ports import Deletion, HiddenChange

_COLUMNS = (
    "id, organization, study, series, instance, instances, reason, deleted, deleted_by,"
    " undone, undone_by"
)


class SqlDeletions:
    """Satisfies ``retrieval.ports.DeletionStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        """Return a number that grows with every change."""
        with self._database.read() as connection:
            return _version(connection)

    def changes(self, since: int) -> tuple[int, Sequence[HiddenChange]]:
        """Return the version, and every instance that a change after ``since`` concerned."""
        with self._database.read() as connection:
            version = _version(connection)
            rows = connection.execute(
                "SELECT DISTINCT d.organization, i.uid, EXISTS (SELECT 1 FROM deleted_instance j"
                " JOIN deletion e ON e.id = j.deletion WHERE j.uid = i.uid"
                " AND e.organization = d.organization AND e.undone IS NULL)"
                " FROM deletion d JOIN deleted_instance i ON i.deletion = d.id"
                " WHERE d.changed > ?",
                (since,),
            ).fetchall()
        return version, [(row[0], row[1], bool(row[2])) for row in rows]

    def add(self, deletion: Deletion, instances: Sequence[Uid]) -> Deletion:
        """Keep a deletion of ``instances`` and return it with its id."""
        with self._database.write() as connection:
            number = connection.execute(
                "INSERT INTO deletion (organization, study, series, instance, instances, reason,"
                " deleted, deleted_by, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    deletion.organization,
                    deletion.study,
                    deletion.series or "",
                    deletion.sop_instance or "",
                    deletion.instances,
                    deletion.reason,
                    stamp(deletion.deleted),
                    deletion.deleted_by,
                    _version(connection) + 1,
                ),
            ).lastrowid
            connection.executemany(
                "INSERT INTO deleted_instance (deletion, uid) VALUES (?, ?)",
                [(number, uid) for uid in instances],
            )
        return replace(deletion, id=number)

    def undo(self, deletion: Deletion, *, at: datetime, by: str) -> bool:
        """Mark as undone; False if it is already."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE deletion SET undone = ?, undone_by = ?, changed = ?"
                " WHERE id = ? AND organization = ? AND undone IS NULL",
                (stamp(at), by, _version(connection) + 1, deletion.id, deletion.organization),
            )
            return cursor.rowcount == 1

    def one(self, organization: str, number: int) -> Deletion | None:
        """Return the deletion with this id, if it is of ``organization``."""
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM deletion WHERE id = ? AND organization = ?",  # noqa: S608 - fixed
                (number, organization),
            ).fetchone()
        return _deletion(row) if row else None

    def of(self, organization: str, *, before: int | None, limit: int) -> Sequence[Deletion]:
        """Return deletions of ``organization``, the latest first, with ids below ``before``."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM deletion"  # noqa: S608 - fixed
                " WHERE organization = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3",
                (organization, before, limit),
            ).fetchall()
        return [_deletion(row) for row in rows]


def _version(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(max(changed), 0) FROM deletion").fetchone()
    number: int = row[0] if row else 0
    return number


def _deletion(row: Row) -> Deletion:
    return Deletion(
        id=row[0],
        organization=row[1],
        study=Uid(row[2]),
        series=Uid(row[3]) if row[3] else None,
        sop_instance=Uid(row[4]) if row[4] else None,
        instances=row[5],
        reason=row[6],
        deleted=time(row[7]),
        deleted_by=row[8],
        undone=time(row[9]) if row[9] is not None else None,
        undone_by=row[10],
    )
