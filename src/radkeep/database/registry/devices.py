# SPDX-License-Identifier: Apache-2.0
"""DICOM devices.

Invariant: every change moves the revision (triggers do it), in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_network

from radkeep.database.engine import Database, Row
from radkeep.database.registry.certificates import revoke_all_of
from radkeep.database.registry.columns import stamp, time, words
from radkeep.identity.permissions import Service
from radkeep.identity.records import Device


class SqlDevices:
    """Satisfies ``identity.ports.DeviceStore``. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, device: Device) -> None:
        """Keep a device."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO device"
                " (id, organization, ae_title, addresses, services, host, port, created, tls)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    device.id,
                    device.organization,
                    device.ae_title,
                    " ".join(map(str, device.addresses)),
                    words(device.services),
                    device.host,
                    device.port,
                    stamp(device.created),
                    int(device.tls),
                ),
            )

    def of(self, organization: str) -> Sequence[Device]:
        """Return the devices of ``organization``, by AE title; of all for ""."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, organization, ae_title, addresses, services, host, port, created, tls"
                " FROM device WHERE ?1 = '' OR organization = ?1 ORDER BY ae_title, organization",
                (organization,),
            ).fetchall()
        return [_device(row) for row in rows]

    def remove(self, device: str, when: datetime) -> bool:
        """Remove, and revoke its certificates; False if it is gone already."""
        with self._database.write() as connection:
            revoke_all_of(connection, device, when)
            return connection.execute("DELETE FROM device WHERE id = ?", (device,)).rowcount == 1

    def revision(self) -> int:
        """Return a number that grows with each change of a device, certificate or zone."""
        with self._database.read() as connection:
            row = connection.execute("SELECT number FROM revision").fetchone()
        return int(row[0]) if row else 0


def _device(row: Row) -> Device:
    return Device(
        id=row[0],
        organization=row[1],
        ae_title=row[2],
        addresses=tuple(map(ip_network, row[3].split())),
        services=frozenset(map(Service, row[4].split())),
        host=row[5],
        port=row[6],
        created=time(row[7]),
        tls=bool(row[8]),
    )
