# SPDX-License-Identifier: Apache-2.0
"""Organizations.

Invariant: rows are added, never changed or removed (a trigger refuses it).
"""

from collections.abc import Sequence
from typing import Final

from radkeep.database.engine import Database, Row
from radkeep.database.registry.columns import stamp, time
from radkeep.identity.records import Organization

_ALL: Final = "SELECT id, name, created FROM organization"


class SqlOrganizations:
    """Satisfies ``identity.ports.OrganizationStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, organization: Organization) -> None:
        """Keep a new organization."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO organization (id, name, created) VALUES (?, ?, ?)",
                (organization.id, organization.name, stamp(organization.created)),
            )

    def by_id(self, organization: str) -> Organization | None:
        """Return the organization, or None."""
        with self._database.read() as connection:
            row = connection.execute(_ALL + " WHERE id = ?", (organization,)).fetchone()
        return _organization(row) if row else None

    def all(self) -> Sequence[Organization]:
        """Return every organization, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL + " ORDER BY created, id").fetchall()
        return [_organization(row) for row in rows]


def _organization(row: Row) -> Organization:
    return Organization(id=row[0], name=row[1], created=time(row[2]))
