# SPDX-License-Identifier: Apache-2.0
"""The rows of studies and series, from what their instances say.

Invariant: the columns that are matched and the attributes that are returned say the same; a
study's modalities and its date in ``study_modality`` follow its series and its own row.
"""

from radkeep.database.catalog.columns import ROLES
from radkeep.database.catalog.known import KnownEntity, KnownStudy, series_values, study_values
from radkeep.database.catalog.merging import Merged, name_groups
from radkeep.database.engine import Connection
from radkeep.dicom.facts import Facts
from radkeep.dicom.matching import fold
from radkeep.dicom.query import Level


def enter_study(connection: Connection, organization: int, facts: Facts, rank: str) -> KnownStudy:
    """Make or fill the row of the study that ``facts`` belong to."""
    row = connection.execute(
        "SELECT id, attributes, origins FROM study WHERE organization = ? AND uid = ?",
        (organization, facts.study),
    ).fetchone()
    if row is None:
        merged = Merged.empty(Level.STUDY)
        merged.take(facts, rank)
        study = _insert_study(connection, organization, facts, merged)
        _update_names(connection, organization, study, merged)
    else:
        study, merged = row[0], Merged.load(Level.STUDY, row[1], row[2])
        if merged.take(facts, rank):
            _update_study(connection, study, merged)
            _update_names(connection, organization, study, merged)
    return KnownStudy(study, merged.latest(), study_values(facts), organization=organization)


def enter_series(connection: Connection, study: KnownStudy, facts: Facts, rank: str) -> KnownEntity:
    """Make or fill the row of the series that ``facts`` belong to."""
    row = connection.execute(
        "SELECT id, attributes, origins, modality FROM series"
        " WHERE organization = ? AND uid = ? AND study = ?",
        (study.organization, facts.series, study.id),
    ).fetchone()
    if row is None:
        merged = Merged.empty(Level.SERIES)
        merged.take(facts, rank)
        series = _insert_series(connection, study, facts, merged)
    else:
        series, before = row[0], row[3]
        merged = Merged.load(Level.SERIES, row[1], row[2])
        if merged.take(facts, rank):
            _update_series(connection, series, merged)
        if before != merged.text("00080060"):
            update_modalities(connection, study.id)
    return KnownEntity(series, merged.latest(), series_values(facts))


def _study_columns(merged: Merged) -> tuple[str, ...]:
    plain = ("00080020", "00080030", "00080050", "00200010", "00081030")
    patient = ("00100020", "00100030", "00100040")
    return (
        *map(merged.text, plain),
        *map(merged.text, patient),
        fold(merged.text("00100010")),
        *merged.dump(),
    )


def _insert_study(connection: Connection, organization: int, facts: Facts, merged: Merged) -> int:
    return connection.execute(
        "INSERT INTO study (date, time, accession, study_id, description, patient_id, birth_date,"
        " sex, name_key, attributes, origins, organization, uid, modalities,"
        " series, instances) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, 0)",
        (*_study_columns(merged), organization, facts.study),
    ).lastrowid


def _update_study(connection: Connection, study: int, merged: Merged) -> None:
    connection.execute(
        "UPDATE study SET date = ?, time = ?, accession = ?, study_id = ?, description = ?,"
        " patient_id = ?, birth_date = ?, sex = ?, name_key = ?,"
        " attributes = ?, origins = ? WHERE id = ?",
        (*_study_columns(merged), study),
    )
    connection.execute(
        "UPDATE study_modality SET date = ?1 WHERE study = ?2 AND date <> ?1",
        (merged.text("00080020"), study),
    )


def _update_names(connection: Connection, organization: int, study: int, merged: Merged) -> None:
    date = merged.text("00080020")
    rows = {
        (organization, role, fold(group), date, study)
        for tag, role in ROLES.items()
        for group in name_groups(merged.attributes, f"{tag:08X}")
    }
    connection.execute("DELETE FROM study_name WHERE study = ?", (study,))
    connection.executemany(
        "INSERT INTO study_name (organization, role, key, date, study) VALUES (?, ?, ?, ?, ?)",
        sorted(rows),
    )


def _series_columns(merged: Merged) -> tuple[object, ...]:
    return (
        merged.text("00080060"),
        merged.integer("00200011"),
        merged.text("0008103E"),
        merged.text("00180015"),
        *merged.dump(),
    )


def _insert_series(connection: Connection, study: KnownStudy, facts: Facts, merged: Merged) -> int:
    return connection.execute(
        "INSERT INTO series (modality, number, description, body_part, attributes, origins,"
        " organization, study, uid, instances) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (*_series_columns(merged), study.organization, study.id, facts.series),
    ).lastrowid


def _update_series(connection: Connection, series: int, merged: Merged) -> None:
    connection.execute(
        "UPDATE series SET modality = ?, number = ?, description = ?, body_part = ?,"
        " attributes = ?, origins = ? WHERE id = ?",
        (*_series_columns(merged), series),
    )


def update_modalities(connection: Connection, study: int) -> None:
    """Make a study's modalities those of its series that have instances."""
    connection.execute("DELETE FROM study_modality WHERE study = ?", (study,))
    connection.execute(
        "INSERT INTO study_modality (organization, modality, date, study)"
        " SELECT DISTINCT y.organization, s.modality, y.date, y.id"
        " FROM series s JOIN study y ON y.id = s.study"
        " WHERE y.id = ? AND s.modality <> '' AND s.instances > 0",
        (study,),
    )
    rows = connection.execute(
        "SELECT modality FROM study_modality WHERE study = ? ORDER BY modality", (study,)
    ).fetchall()
    connection.execute(
        "UPDATE study SET modalities = ? WHERE id = ?",
        ("\\".join(row[0] for row in rows), study),
    )
