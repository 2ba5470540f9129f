# SPDX-License-Identifier: Apache-2.0
"""Peers that were refused.

Invariant: there are never more rows than the caller keeps, so knocking does not fill the disk.
"""

from collections.abc import Sequence

from radkeep.database.engine import Database
from radkeep.database.registry.columns import stamp, time
from radkeep.identity.records import Knock


class SqlKnocks:
    """Satisfies ``identity.ports.KnockStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, knocks: Sequence[Knock], *, keep: int) -> None:
        """Add to what is known of each (calling, address); only the last ``keep`` stay."""
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO knock (calling, address, called, reason, first, last, count)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (calling, address) DO UPDATE SET"
                " called = excluded.called, reason = excluded.reason, last = excluded.last,"
                " count = count + excluded.count",
                [
                    (
                        knock.calling,
                        knock.address,
                        knock.called,
                        knock.reason,
                        stamp(knock.first),
                        stamp(knock.last),
                        knock.count,
                    )
                    for knock in knocks
                ],
            )
            connection.execute(
                "DELETE FROM knock WHERE (calling, address) NOT IN"
                " (SELECT calling, address FROM knock ORDER BY last DESC LIMIT ?)",
                (keep,),
            )

    def all(self) -> Sequence[Knock]:
        """Return them, the last first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT calling, called, address, reason, first, last, count FROM knock"
                " ORDER BY last DESC, calling, address"
            ).fetchall()
        return [
            Knock(
                calling=calling,
                called=called,
                address=address,
                reason=reason,
                first=time(first),
                last=time(last),
                count=count,
            )
            for calling, called, address, reason, first, last, count in rows
        ]

    def forget(self, calling: str) -> None:
        """Remove those with this calling AE title, which is registered now."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM knock WHERE calling = ?", (calling,))
