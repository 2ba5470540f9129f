# SPDX-License-Identifier: Apache-2.0
"""Sign-ins under way, and browsers known from earlier ones.

Invariant: an account has at most 8 of the former and 20 of the latter, whatever happens.
"""

from typing import Final

from radkeep.database.engine import Database
from radkeep.database.registry.columns import stamp, time
from radkeep.identity.records import KnownBrowser, PasswordPassedRecord

UNDER_WAY: Final = 8
BROWSERS: Final = 20


class SqlSignIns:
    """Satisfies ``identity.ports.SignInStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_passed(self, passed: PasswordPassedRecord) -> None:
        """Keep a sign-in under way; expired ones and all but the last 8 of the account go."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO password_passed (digest, account, created, expires, tries)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    passed.digest,
                    passed.account,
                    stamp(passed.created),
                    stamp(passed.expires),
                    passed.tries,
                ),
            )
            connection.execute(
                "DELETE FROM password_passed WHERE account = ?1 AND digest <> ?2 AND (expires <= ?3"
                " OR digest NOT IN (SELECT digest FROM password_passed"
                " WHERE account = ?1 AND digest <> ?2 ORDER BY created DESC LIMIT ?4))",
                (passed.account, passed.digest, stamp(passed.created), UNDER_WAY - 1),
            )

    def try_passed(self, digest: bytes, *, limit: int) -> PasswordPassedRecord | None:
        """Count one try and return the record; None if there is none or ``limit`` is reached."""
        with self._database.write() as connection:
            row = connection.execute(
                "UPDATE password_passed SET tries = tries + 1 WHERE digest = ? AND tries < ?"
                " RETURNING digest, account, created, expires, tries",
                (digest, limit),
            ).fetchone()
        if row is None:
            return None
        return PasswordPassedRecord(
            digest=row[0],
            account=row[1],
            created=time(row[2]),
            expires=time(row[3]),
            tries=row[4],
        )

    def drop_passed(self, digest: bytes) -> bool:
        """Remove a sign-in under way; False if it is gone already."""
        with self._database.write() as connection:
            cursor = connection.execute("DELETE FROM password_passed WHERE digest = ?", (digest,))
            return cursor.rowcount == 1

    def browser(self, digest: bytes, account: str) -> KnownBrowser | None:
        """Return what is known of this browser and account, or None."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT digest, account, created, factor_until, expires"
                " FROM known_browser WHERE digest = ? AND account = ?",
                (digest, account),
            ).fetchone()
        if row is None:
            return None
        return KnownBrowser(
            digest=row[0],
            account=row[1],
            created=time(row[2]),
            factor_until=time(row[3]),
            expires=time(row[4]),
        )

    def put_browser(self, browser: KnownBrowser, *, instead_of: bytes) -> None:
        """Keep a known browser; what its old digest was known for moves to the new one."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE known_browser SET digest = ? WHERE digest = ?",
                (browser.digest, instead_of),
            )
            connection.execute(
                "INSERT OR REPLACE INTO known_browser"
                " (digest, account, created, factor_until, expires) VALUES (?, ?, ?, ?, ?)",
                (
                    browser.digest,
                    browser.account,
                    stamp(browser.created),
                    stamp(browser.factor_until),
                    stamp(browser.expires),
                ),
            )
            connection.execute(
                "DELETE FROM known_browser WHERE account = ?1 AND digest <> ?2 AND (expires <= ?3"
                " OR digest NOT IN (SELECT digest FROM known_browser"
                " WHERE account = ?1 AND digest <> ?2 ORDER BY created DESC LIMIT ?4))",
                (browser.account, browser.digest, stamp(browser.created), BROWSERS - 1),
            )
