# SPDX-License-Identifier: Apache-2.0
"""Accounts.

Invariant: an account is disabled and its sessions end in one transaction; none is ever removed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from radkeep.database.engine import Database, Row
from radkeep.database.registry.columns import stamp, time, time_or_none, words
from radkeep.identity.records import Account
from radkeep.identity.roles import Role

COLUMNS: Final = (
    "account.id, account.organization, account.email, account.name, account.roles,"
    " account.created, account.disabled, account.demo, credential.account IS NOT NULL"
)
JOIN: Final = "account LEFT JOIN credential ON credential.account = account.id"
_SELECT: Final = f"SELECT {COLUMNS} FROM {JOIN}"  # noqa: S608 - our own words


class SqlAccounts:
    """Satisfies ``identity.ports.AccountStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: Account) -> None:
        """Keep a new account."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO account"
                " (id, organization, email, name, roles, created, disabled, demo)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    account.id,
                    account.organization,
                    account.email,
                    account.name,
                    words(account.roles),
                    stamp(account.created),
                    stamp(account.disabled),
                    account.demo,
                ),
            )

    def by_id(self, account: str) -> Account | None:
        """Return the account, or None."""
        return self._one(_SELECT + " WHERE account.id = ?", account)

    def by_email(self, email: str) -> Account | None:
        """Return the account with this address, in lower case, or None."""
        return self._one(_SELECT + " WHERE account.email = ?", email)

    def of(self, organization: str) -> Sequence[Account]:
        """Return the accounts of ``organization``, by e-mail address; of all for ""."""
        with self._database.read() as connection:
            rows = connection.execute(
                _SELECT + " WHERE ?1 = '' OR account.organization = ?1 ORDER BY account.email",
                (organization,),
            ).fetchall()
        return [to_account(row) for row in rows]

    def set_disabled(self, account: str, when: datetime | None) -> None:
        """Disable since ``when``, with the end of all its sessions, or enable with None."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE account SET disabled = ? WHERE id = ?", (stamp(when), account)
            )
            if when is not None:
                connection.execute("DELETE FROM session WHERE account = ?", (account,))
                connection.execute("DELETE FROM password_passed WHERE account = ?", (account,))

    def set_roles(self, account: str, roles: frozenset[Role]) -> None:
        """Replace the roles."""
        with self._database.write() as connection:
            connection.execute("UPDATE account SET roles = ? WHERE id = ?", (words(roles), account))

    def _one(self, sql: str, value: str) -> Account | None:
        with self._database.read() as connection:
            row = connection.execute(sql, (value,)).fetchone()
        return to_account(row) if row else None


def to_account(row: Row) -> Account:
    """Return the account in the ``COLUMNS`` of ``row``."""
    return Account(
        id=row[0],
        organization=row[1],
        email=row[2],
        name=row[3],
        roles=frozenset(map(Role, row[4].split())),
        created=time(row[5]),
        disabled=time_or_none(row[6]),
        demo=bool(row[7]),
        enrolled=bool(row[8]),
    )
