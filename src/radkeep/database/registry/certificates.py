# SPDX-License-Identifier: Apache-2.0
"""Certificates of devices.

Invariant: a certificate is never removed and a revoked one stays revoked (triggers see to it);
every change moves the revision in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from radkeep.database.engine import Connection, Database, Row
from radkeep.database.registry.columns import stamp, time, time_or_none
from radkeep.identity.records import Certificate

_COLUMNS: Final = (
    "fingerprint, device, organization, ae_title, serial, subject, issuer, imported, der,"
    " begins, expires, created, revoked"
)


class SqlCertificates:
    """Satisfies ``identity.ports.CertificateStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, certificate: Certificate) -> None:
        """Keep a certificate."""
        with self._database.write() as connection:
            connection.execute(
                f"INSERT INTO certificate ({_COLUMNS})"  # noqa: S608 - our own words
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    certificate.fingerprint,
                    certificate.device,
                    certificate.organization,
                    certificate.ae_title,
                    f"{certificate.serial:x}",
                    certificate.subject,
                    certificate.issuer,
                    int(certificate.imported),
                    certificate.der,
                    stamp(certificate.begins),
                    stamp(certificate.expires),
                    stamp(certificate.created),
                    stamp(certificate.revoked),
                ),
            )

    def of(self, organization: str) -> Sequence[Certificate]:
        """Return the certificates of ``organization``, by AE title; of all for ""."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM certificate"  # noqa: S608 - our own words
                " WHERE ?1 = '' OR organization = ?1 ORDER BY ae_title, created, fingerprint",
                (organization,),
            ).fetchall()
        return [_certificate(row) for row in rows]

    def revoke(self, fingerprint: str, when: datetime) -> bool:
        """Revoke; False if it was already."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE certificate SET revoked = ? WHERE fingerprint = ? AND revoked IS NULL",
                (stamp(when), fingerprint),
            )
            return cursor.rowcount == 1


def revoke_all_of(connection: Connection, device: str, when: datetime) -> None:
    """Revoke every certificate of ``device``, in the caller's transaction."""
    connection.execute(
        "UPDATE certificate SET revoked = ? WHERE device = ? AND revoked IS NULL",
        (stamp(when), device),
    )


def _certificate(row: Row) -> Certificate:
    return Certificate(
        fingerprint=row[0],
        device=row[1],
        organization=row[2],
        ae_title=row[3],
        serial=int(row[4], 16),
        subject=row[5],
        issuer=row[6],
        imported=bool(row[7]),
        der=bytes(row[8]),
        begins=time(row[9]),
        expires=time(row[10]),
        created=time(row[11]),
        revoked=time_or_none(row[12]),
    )
