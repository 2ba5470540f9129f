# SPDX-License-Identifier: Apache-2.0
"""Passwords, second factors, recovery codes.

Invariant: a TOTP step or a recovery code is accepted by the statement that uses it up, so two
requests at the same moment cannot both have it.
"""

from radkeep.database.engine import Connection, Database
from radkeep.database.registry.columns import stamp, time
from radkeep.identity.records import Credentials


class SqlCredentials:
    """Satisfies ``identity.ports.CredentialStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, account: str) -> Credentials | None:
        """Return the credentials of ``account``, or None."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT account, password_hash, totp_secret, totp_step, changed"
                " FROM credential WHERE account = ?",
                (account,),
            ).fetchone()
        if row is None:
            return None
        return Credentials(
            account=row[0],
            password_hash=row[1],
            totp_secret=row[2],
            totp_step=row[3],
            changed=time(row[4]),
        )

    def rehash(self, account: str, password_hash: str) -> None:
        """Keep another hash of the same password."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE credential SET password_hash = ? WHERE account = ?",
                (password_hash, account),
            )

    def accept_step(self, account: str, step: int) -> bool:
        """Note that the TOTP code of ``step`` was used; False if it or a later one was already."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE credential SET totp_step = ?1 WHERE account = ?2 AND totp_step < ?1",
                (step, account),
            )
            return cursor.rowcount == 1

    def use_recovery_code(self, account: str, digest: bytes) -> bool:
        """Remove the code with ``digest``; False if there is none."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "DELETE FROM recovery_code WHERE account = ? AND digest = ?", (account, digest)
            )
            return cursor.rowcount == 1

    def recovery_codes_left(self, account: str) -> int:
        """Return how many recovery codes are unused."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT count(*) FROM recovery_code WHERE account = ?", (account,)
            ).fetchone()
        return int(row[0]) if row else 0

    def forget(self, account: str) -> None:
        """Remove credentials, recovery codes, known browsers and sessions, together."""
        with self._database.write() as connection:
            forget(connection, account)


def forget(connection: Connection, account: str) -> None:
    """Remove all by which ``account`` could come in, in the transaction of ``connection``."""
    connection.execute("DELETE FROM credential WHERE account = ?", (account,))
    connection.execute("DELETE FROM recovery_code WHERE account = ?", (account,))
    connection.execute("DELETE FROM known_browser WHERE account = ?", (account,))
    connection.execute("DELETE FROM password_passed WHERE account = ?", (account,))
    connection.execute("DELETE FROM session WHERE account = ?", (account,))


def put(connection: Connection, credentials: Credentials) -> None:
    """Keep the first credentials of an account, in the transaction of ``connection``."""
    connection.execute(
        "INSERT INTO credential (account, password_hash, totp_secret, totp_step, changed)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            credentials.account,
            credentials.password_hash,
            credentials.totp_secret,
            credentials.totp_step,
            stamp(credentials.changed),
        ),
    )
