# SPDX-License-Identifier: Apache-2.0
"""Zones of the network.

Invariant: every change moves the revision (triggers do it), in the same transaction.
"""

from collections.abc import Sequence
from datetime import date
from ipaddress import ip_network

from radkeep.database.engine import Database, Row
from radkeep.database.registry.columns import stamp, time
from radkeep.identity.records import Zone


class SqlZones:
    """Satisfies ``identity.ports.ZoneStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, zone: Zone) -> None:
        """Keep a zone."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO zone"
                " (id, organization, name, networks, plaintext, reason, review, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    zone.id,
                    zone.organization,
                    zone.name,
                    " ".join(map(str, zone.networks)),
                    zone.plaintext,
                    zone.reason,
                    zone.review.isoformat() if zone.review else None,
                    stamp(zone.created),
                ),
            )

    def of(self, organization: str) -> Sequence[Zone]:
        """Return the zones of ``organization``, by name; of all for ""."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, organization, name, networks, plaintext, reason, review, created"
                " FROM zone WHERE ?1 = '' OR organization = ?1 ORDER BY name, organization",
                (organization,),
            ).fetchall()
        return [_zone(row) for row in rows]

    def remove(self, zone: str) -> bool:
        """Remove; False if it is gone already."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM zone WHERE id = ?", (zone,)).rowcount == 1


def _zone(row: Row) -> Zone:
    return Zone(
        id=row[0],
        organization=row[1],
        name=row[2],
        networks=tuple(map(ip_network, row[3].split())),
        plaintext=bool(row[4]),
        reason=row[5],
        review=date.fromisoformat(row[6]) if row[6] else None,
        created=time(row[7]),
    )
