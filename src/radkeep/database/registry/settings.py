# SPDX-License-Identifier: Apache-2.0
"""Facts of the installation that never change, and the one link into a demo.

Invariant: a trigger refuses to change or remove a setting.
"""

from datetime import datetime

from radkeep.database.engine import Database
from radkeep.database.registry.columns import stamp


class SqlSettings:
    """Satisfies ``identity.ports.SettingStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        """Return the value, or None."""
        with self._database.read() as connection:
            row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def fix(self, name: str, value: str) -> None:
        """Set a value that can never change."""
        with self._database.write() as connection:
            connection.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (name, value))


class SqlDemoLinks:
    """Satisfies ``identity.ports.DemoLinkStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, digest: bytes, expires: datetime) -> None:
        """Keep a link in place of any other."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO demo_link (only, digest, expires) VALUES (1, ?, ?)",
                (digest, stamp(expires)),
            )

    def use(self, digest: bytes, now: datetime) -> bool:
        """Use a link up; False if there is none, or it is past its end."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "DELETE FROM demo_link WHERE digest = ? AND expires > ?", (digest, stamp(now))
            )
            return cursor.rowcount == 1

    def clear(self) -> None:
        """Forget every link."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM demo_link")
