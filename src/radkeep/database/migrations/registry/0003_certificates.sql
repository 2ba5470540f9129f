-- SPDX-License-Identifier: Apache-2.0
-- Certificates of devices: those we issued, and those that were imported and are trusted singly.
-- They outlive their device, since the list of revoked ones names them until they expire.

CREATE TABLE certificate (
    fingerprint  TEXT PRIMARY KEY CHECK (length(fingerprint) = 64),
    device       TEXT NOT NULL,
    organization TEXT NOT NULL REFERENCES organization (id),
    ae_title     TEXT NOT NULL,
    serial       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    imported     INTEGER NOT NULL CHECK (imported IN (0, 1)),
    der          BLOB NOT NULL,
    begins       INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    revoked      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX certificate_by_organization ON certificate (organization, ae_title, created);

CREATE TRIGGER certificate_stays BEFORE DELETE ON certificate
BEGIN
    SELECT RAISE(ABORT, 'a certificate is revoked, never removed');
END;

CREATE TRIGGER certificate_stays_revoked BEFORE UPDATE ON certificate
WHEN OLD.revoked IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a revoked certificate stays revoked');
END;

CREATE TRIGGER certificate_added AFTER INSERT ON certificate
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER certificate_changed AFTER UPDATE ON certificate
BEGIN
    UPDATE revision SET number = number + 1;
END;

-- It listens with TLS: we send to it over TLS alone, to whoever proves to be it.
ALTER TABLE device ADD COLUMN tls INTEGER NOT NULL DEFAULT 0 CHECK (tls IN (0, 1));
