-- SPDX-License-Identifier: Apache-2.0
-- The catalog: what the volumes hold, made quick to find. Derived: it can be deleted and rebuilt.
-- Text that is matched is never NULL; "" stands for an empty or absent attribute.

CREATE TABLE organization (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    studies INTEGER NOT NULL DEFAULT 0,
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0, -- of data sets as received
    received TEXT NOT NULL DEFAULT '' -- the latest arrival, UTC, ISO 8601
) STRICT;
CREATE UNIQUE INDEX organization_name ON organization (name);

CREATE TABLE volume (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    position INTEGER NOT NULL -- bytes of the volume that the catalog knows
) STRICT;
CREATE UNIQUE INDEX volume_name ON volume (name);

-- AUTOINCREMENT: a number that another process remembers never comes to mean another study.
CREATE TABLE study (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization INTEGER NOT NULL REFERENCES organization (id),
    uid TEXT NOT NULL,
    date TEXT NOT NULL,
    time TEXT NOT NULL,
    accession TEXT NOT NULL,
    study_id TEXT NOT NULL,
    description TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    name_key TEXT NOT NULL, -- Patient's Name folded, for sorting; study_name is for matching
    modalities TEXT NOT NULL, -- of the study's series, sorted, separated by backslashes
    series INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    attributes TEXT NOT NULL, -- DICOM JSON object of the attributes that have a value
    origins TEXT NOT NULL -- JSON: which arrival gave each attribute, see catalog.merging
) STRICT;
CREATE UNIQUE INDEX study_uid ON study (organization, uid);
-- Holds what is often asked beside a date, so that a walk by date reads no row that fails.
CREATE INDEX study_date ON study (organization, date, id, time, sex, description);
CREATE INDEX study_patient ON study (organization, patient_id, date, id);
CREATE INDEX study_accession ON study (organization, accession, date, id);
CREATE INDEX study_study_id ON study (organization, study_id, date, id);
CREATE INDEX study_birth_date ON study (organization, birth_date, date, id);

-- Every component group of a person's name, folded: case and accents do not count.
CREATE TABLE study_name (
    organization INTEGER NOT NULL,
    role TEXT NOT NULL, -- whose name: catalog.columns.Role
    key TEXT NOT NULL, -- dicom.matching.fold
    date TEXT NOT NULL, -- of the study
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    PRIMARY KEY (organization, role, key, date, study)
) STRICT, WITHOUT ROWID;
CREATE INDEX study_name_study ON study_name (study, role, key);
CREATE INDEX study_name_date ON study_name (organization, role, date, study); -- holds key, too
CREATE INDEX study_name_two ON study_name (organization, role, substr(key, 1, 2), date, study);

CREATE TABLE study_modality (
    organization INTEGER NOT NULL,
    modality TEXT NOT NULL,
    date TEXT NOT NULL, -- of the study
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    PRIMARY KEY (organization, modality, date, study)
) STRICT, WITHOUT ROWID;
CREATE INDEX study_modality_study ON study_modality (study, modality);

CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization INTEGER NOT NULL REFERENCES organization (id),
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    number INTEGER,
    description TEXT NOT NULL,
    body_part TEXT NOT NULL,
    instances INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    origins TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX series_uid ON series (organization, uid, study);
CREATE INDEX series_study ON series (study, number, id);

CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    organization INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    uid TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    number INTEGER,
    frames INTEGER NOT NULL,
    digest BLOB NOT NULL, -- SHA-256 of the data set as received
    data_set_length INTEGER NOT NULL,
    volume INTEGER NOT NULL REFERENCES volume (id),
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    source TEXT NOT NULL,
    received TEXT NOT NULL,
    transfer TEXT NOT NULL,
    attributes BLOB NOT NULL -- see catalog.packing
) STRICT;
CREATE UNIQUE INDEX instance_uid ON instance (organization, uid);
CREATE INDEX instance_series ON instance (series, number, id);

-- Other content under a SOP Instance UID that was taken: kept, shown to people, never served.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization INTEGER NOT NULL REFERENCES organization (id),
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    uid TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    digest BLOB NOT NULL,
    data_set_length INTEGER NOT NULL,
    volume INTEGER NOT NULL REFERENCES volume (id),
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    source TEXT NOT NULL,
    received TEXT NOT NULL,
    transfer TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX quarantine_place ON quarantine (volume, offset);
CREATE INDEX quarantine_received ON quarantine (organization, received, id);
