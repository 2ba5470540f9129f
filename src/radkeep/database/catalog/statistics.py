# SPDX-License-Identifier: Apache-2.0
"""The numbers of the status page. Kept at each commit, so asking costs the same at any size."""

from dataclasses import dataclass

from radkeep.database.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What one organization has in the archive."""

    studies: int = 0
    series: int = 0
    instances: int = 0
    bytes: int = 0  # of data sets as received
    received: str = ""  # the latest arrival, UTC, ISO 8601; "" before the first
    quarantined: int = 0


def statistics(database: Database, organization: str) -> Statistics:
    """Return the numbers of ``organization``; all zero when nothing came yet."""
    with database.read() as connection:
        row = connection.execute(
            "SELECT studies, series, instances, bytes, received,"
            " (SELECT count(*) FROM quarantine q WHERE q.organization = o.id)"
            " FROM organization o WHERE name = ?",
            (organization,),
        ).fetchone()
    if row is None:
        return Statistics()
    studies, series, instances, data_set_bytes, received, quarantined = row
    return Statistics(
        studies=studies,
        series=series,
        instances=instances,
        bytes=data_set_bytes,
        received=received,
        quarantined=quarantined,
    )
