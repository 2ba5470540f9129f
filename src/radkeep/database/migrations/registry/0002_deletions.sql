-- SPDX-License-Identifier: Apache-2.0
-- What people deleted from the archive. Nothing is gone: an instance is hidden while a deletion
-- that names it is not undone. Volumes do not know of it, so it cannot be derived.

CREATE TABLE deletion (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    organization TEXT NOT NULL REFERENCES organization (id),
    study        TEXT NOT NULL,
    series       TEXT NOT NULL, -- '' for a whole study
    instance     TEXT NOT NULL, -- '' for a whole series or study
    instances    INTEGER NOT NULL, -- how many were hidden
    reason       TEXT NOT NULL,
    deleted      INTEGER NOT NULL,
    deleted_by   TEXT NOT NULL,
    undone       INTEGER,
    undone_by    TEXT NOT NULL DEFAULT '',
    changed      INTEGER NOT NULL UNIQUE -- the version that its last change made
) STRICT;

CREATE INDEX deletion_by_organization ON deletion (organization, id);

CREATE TRIGGER deletion_stays BEFORE DELETE ON deletion
BEGIN
    SELECT RAISE(ABORT, 'a deletion is never forgotten');
END;

CREATE TABLE deleted_instance (
    deletion INTEGER NOT NULL REFERENCES deletion (id),
    uid      TEXT NOT NULL,
    PRIMARY KEY (deletion, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX deleted_instance_by_uid ON deleted_instance (uid, deletion);
