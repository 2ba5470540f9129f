# SPDX-License-Identifier: Apache-2.0
"""Instances that came with other content under a SOP Instance UID that was taken.

Invariant: they are listed for people who decide, never found by a search and never served.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from radkeep.database.engine import Database
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One instance in quarantine."""

    study: Uid
    series: Uid
    sop_instance: Uid
    sop_class: Uid
    transfer_syntax: str
    digest: bytes
    data_set_length: int  # bytes
    placement: Placement
    source: str
    received: str  # UTC, ISO 8601
    transfer: str


def quarantined(
    database: Database, organization: str, *, limit: int = 100, offset: int = 0
) -> Sequence[Quarantined]:
    """Return the instances in quarantine, the latest first."""
    with database.read() as connection:
        rows = connection.execute(
            "SELECT q.study, q.series, q.uid, q.sop_class, q.transfer_syntax, q.digest,"
            " q.data_set_length, v.name, q.offset, q.length, q.key_id, q.source, q.received,"
            " q.transfer FROM quarantine q JOIN volume v ON v.id = q.volume"
            " WHERE q.organization = (SELECT id FROM organization WHERE name = ?)"
            " ORDER BY q.received DESC, q.uid, v.name, q.offset LIMIT ? OFFSET ?",
            (organization, limit, offset),
        ).fetchall()
    return [
        Quarantined(
            study=Uid(row[0]),
            series=Uid(row[1]),
            sop_instance=Uid(row[2]),
            sop_class=Uid(row[3]),
            transfer_syntax=row[4],
            digest=row[5],
            data_set_length=row[6],
            placement=Placement(volume=row[7], offset=row[8], length=row[9], key_id=row[10]),
            source=row[11],
            received=row[12],
            transfer=row[13],
        )
        for row in rows
    ]
