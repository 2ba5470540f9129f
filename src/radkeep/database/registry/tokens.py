# SPDX-License-Identifier: Apache-2.0
"""API tokens.

Invariant: the token itself is never here, only its digest; of an organization's tokens that are
not revoked no two have one name.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from radkeep.database.engine import Database, Row
from radkeep.database.registry.columns import stamp, time, time_or_none, words
from radkeep.identity.permissions import Scope
from radkeep.identity.records import Token

_SELECT: Final = (
    "SELECT id, organization, name, scopes, created, created_by, expires, used, revoked FROM token"
)


class SqlTokens:
    """Satisfies ``identity.ports.TokenStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token, digest: bytes) -> None:
        """Keep a token."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO token"
                " (id, digest, organization, name, scopes, created, created_by, expires, used,"
                " revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    token.id,
                    digest,
                    token.organization,
                    token.name,
                    words(token.scopes),
                    stamp(token.created),
                    token.created_by,
                    stamp(token.expires),
                    stamp(token.used),
                    stamp(token.revoked),
                ),
            )

    def by_digest(self, digest: bytes) -> Token | None:
        """Return the token, revoked or expired ones too, or None."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT + " WHERE digest = ?", (digest,)).fetchone()
        return _token(row) if row else None

    def of(self, organization: str) -> Sequence[Token]:
        """Return the tokens of ``organization``, by name; of all for ""."""
        with self._database.read() as connection:
            rows = connection.execute(
                _SELECT + " WHERE ?1 = '' OR organization = ?1 ORDER BY name, created, id",
                (organization,),
            ).fetchall()
        return [_token(row) for row in rows]

    def touch(self, token: str, used: datetime) -> None:
        """Note a use."""
        with self._database.write() as connection:
            connection.execute("UPDATE token SET used = ? WHERE id = ?", (stamp(used), token))

    def revoke(self, token: str, when: datetime) -> bool:
        """Revoke; False if it was already."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL",
                (stamp(when), token),
            )
            return cursor.rowcount == 1


def _token(row: Row) -> Token:
    return Token(
        id=row[0],
        organization=row[1],
        name=row[2],
        scopes=frozenset(map(Scope, row[3].split())),
        created=time(row[4]),
        created_by=row[5],
        expires=time(row[6]),
        used=time_or_none(row[7]),
        revoked=time_or_none(row[8]),
    )
