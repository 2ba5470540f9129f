# SPDX-License-Identifier: Apache-2.0
"""Where the instances of a study lie, for everything that reads them back.

Invariant: an instance is found only within its own organization and below the study that is named;
what is deleted is not found.
"""

from collections.abc import Sequence
from typing import Final

from radkeep.database.engine import Database
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid
from radkeep.retrieval.ports import StoredInstance

_STUDY: Final = """
    SELECT s.uid, i.uid, i.sop_class, i.transfer_syntax, i.number, i.frames, y.patient_id,
           i.digest, i.data_set_length, v.name, i.offset, i.length, i.key_id
    FROM study y INDEXED BY study_uid
    CROSS JOIN series s INDEXED BY series_study ON s.study = y.id
    CROSS JOIN instance i INDEXED BY instance_series ON i.series = s.id
    JOIN volume v ON v.id = i.volume
    WHERE y.organization = (SELECT id FROM organization WHERE name = ?1)
      AND y.uid = ?2 AND (?3 IS NULL OR s.uid = ?3) AND i.deleted = 0
    ORDER BY s.number, s.uid, i.number, i.uid
"""
_INSTANCE: Final = """
    SELECT s.uid, i.uid, i.sop_class, i.transfer_syntax, i.number, i.frames, y.patient_id,
           i.digest, i.data_set_length, v.name, i.offset, i.length, i.key_id
    FROM instance i INDEXED BY instance_uid
    CROSS JOIN series s ON s.id = i.series
    CROSS JOIN study y ON y.id = s.study
    JOIN volume v ON v.id = i.volume
    WHERE i.organization = (SELECT id FROM organization WHERE name = ?1)
      AND y.uid = ?2 AND (?3 IS NULL OR s.uid = ?3) AND i.uid = ?4 AND i.deleted = 0
"""


def instances(
    database: Database,
    organization: str,
    study: Uid,
    series: Uid | None = None,
    sop_instance: Uid | None = None,
) -> Sequence[StoredInstance]:
    """Return the instances of a study, a series, or the one instance.

    Series come in order of Series Number, instances in order of Instance Number; those without a
    number first, ties in order of UID.
    """
    with database.read() as connection:
        if sop_instance is None:
            cursor = connection.execute(_STUDY, (organization, study, series))
        else:
            cursor = connection.execute(_INSTANCE, (organization, study, series, sop_instance))
        rows = cursor.fetchall()
    return [
        StoredInstance(
            study=study,
            series=Uid(row[0]),
            sop_instance=Uid(row[1]),
            sop_class=Uid(row[2]),
            transfer_syntax=row[3],
            number=row[4],
            frames=row[5],
            patient=row[6],
            digest=row[7],
            data_set_length=row[8],
            placement=Placement(volume=row[9], offset=row[10], length=row[11], key_id=row[12]),
        )
        for row in rows
    ]
