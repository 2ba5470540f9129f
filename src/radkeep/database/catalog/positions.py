# SPDX-License-Identifier: Apache-2.0
"""How far into each volume the catalog knows the records: start replays from there."""

from collections.abc import Mapping

from radkeep.database.engine import Database


def position(database: Database, volume: str) -> int:
    """Return the bytes of ``volume`` whose records are entered; 0 for a volume never met."""
    with database.read() as connection:
        row = connection.execute("SELECT position FROM volume WHERE name = ?", (volume,)).fetchone()
    return row[0] if row else 0


def positions(database: Database) -> Mapping[str, int]:
    """Return the position of every volume that was ever met."""
    with database.read() as connection:
        return dict(connection.execute("SELECT name, position FROM volume").fetchall())
