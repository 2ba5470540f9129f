# SPDX-License-Identifier: Apache-2.0
"""Sessions of signed-in browsers.

Invariant: an account has at most 50; a lookup gives the account as it is at that moment.
"""

from datetime import datetime
from typing import Final

from radkeep.database.engine import Connection, Database
from radkeep.database.registry.accounts import COLUMNS, JOIN, to_account
from radkeep.database.registry.columns import stamp, time
from radkeep.identity.records import Account, Session

OPEN: Final = 50
_FIND: Final = (
    f"SELECT {COLUMNS}, session.digest, session.created, session.seen,"  # noqa: S608 - our words
    f" session.expires, session.address, session.demo FROM {JOIN}"
    " JOIN session ON session.account = account.id WHERE session.digest = ?"
)
_ACCOUNT: Final = COLUMNS.count(",") + 1  # columns of the account, before those of the session


class SqlSessions:
    """Satisfies ``identity.ports.SessionStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> None:
        """Keep a session; expired ones and all but the last 50 of the account go."""
        with self._database.write() as connection:
            _insert(connection, session)

    def find(self, digest: bytes) -> tuple[Session, Account] | None:
        """Return the session with its account as it is now, or None."""
        with self._database.read() as connection:
            row = connection.execute(_FIND, (digest,)).fetchone()
        if row is None:
            return None
        account = to_account(row[:_ACCOUNT])
        digest, created, seen, expires, address, demo = row[_ACCOUNT:]
        session = Session(
            digest=digest,
            account=account.id,
            created=time(created),
            seen=time(seen),
            expires=time(expires),
            address=address,
            demo=bool(demo),
        )
        return session, account

    def touch(self, digest: bytes, seen: datetime) -> None:
        """Note a use."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE session SET seen = ? WHERE digest = ?", (stamp(seen), digest)
            )

    def replace(self, digest: bytes, session: Session) -> bool:
        """Put ``session`` in the place of another; False if that one is gone."""
        with self._database.write() as connection:
            cursor = connection.execute("DELETE FROM session WHERE digest = ?", (digest,))
            if cursor.rowcount != 1:
                return False
            _insert(connection, session)
            return True

    def remove(self, digest: bytes) -> bool:
        """End one session; False if it is gone already."""
        with self._database.write() as connection:
            cursor = connection.execute("DELETE FROM session WHERE digest = ?", (digest,))
            return cursor.rowcount == 1

    def remove_of(self, account: str, *, but: bytes = b"") -> int:
        """End all sessions of ``account`` except ``but`` and return how many."""
        with self._database.write() as connection:
            return connection.execute(
                "DELETE FROM session WHERE account = ? AND digest <> ?", (account, but)
            ).rowcount

    def remove_demo(self) -> int:
        """End all demo sessions and return how many."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM session WHERE demo = 1").rowcount


def _insert(connection: Connection, session: Session) -> None:
    connection.execute(
        "INSERT INTO session (digest, account, created, seen, expires, address, demo)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            session.digest,
            session.account,
            stamp(session.created),
            stamp(session.seen),
            stamp(session.expires),
            session.address,
            session.demo,
        ),
    )
    connection.execute(
        "DELETE FROM session WHERE account = ?1 AND digest <> ?2 AND (expires <= ?3"
        " OR digest NOT IN (SELECT digest FROM session WHERE account = ?1 AND digest <> ?2"
        " ORDER BY created DESC LIMIT ?4))",
        (session.account, session.digest, stamp(session.created), OPEN - 1),
    )
