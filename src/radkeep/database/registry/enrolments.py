# SPDX-License-Identifier: Apache-2.0
"""One-time enrolment links.

Invariant: a link is used up in the same transaction that keeps what was set with it.
"""

from collections.abc import Sequence

from radkeep.database.engine import Database
from radkeep.database.registry import credentials as stored
from radkeep.database.registry.columns import stamp, time, time_or_none
from radkeep.identity.records import Credentials, Enrolment


class SqlEnrolments:
    """Satisfies ``identity.ports.EnrolmentStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, enrolment: Enrolment) -> None:
        """Keep a link in place of any other of the account."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO enrolment"
                " (account, digest, totp_secret, created, expires, used)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    enrolment.account,
                    enrolment.digest,
                    enrolment.totp_secret,
                    stamp(enrolment.created),
                    stamp(enrolment.expires),
                    stamp(enrolment.used),
                ),
            )

    def by_digest(self, digest: bytes) -> Enrolment | None:
        """Return the link, used or not, or None."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT digest, account, totp_secret, created, expires, used"
                " FROM enrolment WHERE digest = ?",
                (digest,),
            ).fetchone()
        if row is None:
            return None
        return Enrolment(
            digest=row[0],
            account=row[1],
            totp_secret=row[2],
            created=time(row[3]),
            expires=time(row[4]),
            used=time_or_none(row[5]),
        )

    def complete(
        self, enrolment: Enrolment, credentials: Credentials, recovery: Sequence[bytes]
    ) -> bool:
        """Use the link up and keep what was set, together; False if it was used already."""
        with self._database.write() as connection:
            # The link's copy of the TOTP secret has no further use.
            cursor = connection.execute(
                "UPDATE enrolment SET used = ?, totp_secret = x''"
                " WHERE digest = ? AND used IS NULL",
                (stamp(credentials.changed), enrolment.digest),
            )
            if cursor.rowcount != 1:
                return False
            stored.forget(connection, enrolment.account)
            stored.put(connection, credentials)
            connection.executemany(
                "INSERT INTO recovery_code (account, digest) VALUES (?, ?)",
                [(enrolment.account, digest) for digest in recovery],
            )
            return True
