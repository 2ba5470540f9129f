-- SPDX-License-Identifier: Apache-2.0
-- People, machines, networks: what is edited, and cannot be derived from anything else.
-- Times are microseconds since 1970 in UTC; digests are SHA-256; sets are words between spaces.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER setting_is_fixed BEFORE UPDATE ON setting
BEGIN
    SELECT RAISE(ABORT, 'a setting never changes');
END;

CREATE TRIGGER setting_stays BEFORE DELETE ON setting
BEGIN
    SELECT RAISE(ABORT, 'a setting never changes');
END;

CREATE TABLE organization (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER organization_stays BEFORE DELETE ON organization
BEGIN
    SELECT RAISE(ABORT, 'an organization is never removed');
END;

CREATE TABLE account (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    email        TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    roles        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    disabled     INTEGER,
    demo         INTEGER NOT NULL CHECK (demo IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX account_by_organization ON account (organization, email);

CREATE TRIGGER account_stays BEFORE DELETE ON account
BEGIN
    SELECT RAISE(ABORT, 'an account is never removed');
END;

-- A demo account has no credentials: its people come in by a link, never by a password.
CREATE TABLE credential (
    account       TEXT PRIMARY KEY REFERENCES account (id),
    password_hash TEXT NOT NULL,
    totp_secret   BLOB NOT NULL,
    totp_step     INTEGER NOT NULL,
    changed       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
    account TEXT NOT NULL REFERENCES account (id),
    digest  BLOB NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolment (
    account     TEXT PRIMARY KEY REFERENCES account (id),
    digest      BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    totp_secret BLOB NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    used        INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE password_passed (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    account TEXT NOT NULL REFERENCES account (id),
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    tries   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX password_passed_by_account ON password_passed (account, created);

CREATE TABLE known_browser (
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    account      TEXT NOT NULL REFERENCES account (id),
    created      INTEGER NOT NULL,
    factor_until INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    PRIMARY KEY (digest, account)
) STRICT, WITHOUT ROWID;

CREATE INDEX known_browser_by_account ON known_browser (account, created);

CREATE TABLE session (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    account TEXT NOT NULL REFERENCES account (id),
    created INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    address TEXT NOT NULL,
    demo    INTEGER NOT NULL CHECK (demo IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_account ON session (account, created);

CREATE TABLE demo_link (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    digest  BLOB NOT NULL CHECK (length(digest) = 32),
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
    id           TEXT PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    organization TEXT NOT NULL REFERENCES organization (id),
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created      INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    expires      INTEGER NOT NULL,
    used         INTEGER,
    revoked      INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX token_name ON token (organization, name) WHERE revoked IS NULL;

CREATE TABLE device (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    ae_title     TEXT NOT NULL,
    addresses    TEXT NOT NULL,
    services     TEXT NOT NULL,
    host         TEXT NOT NULL,
    port         INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),
    created      INTEGER NOT NULL,
    UNIQUE (organization, ae_title)
) STRICT, WITHOUT ROWID;

CREATE TABLE zone (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    name         TEXT NOT NULL,
    networks     TEXT NOT NULL,
    plaintext    INTEGER NOT NULL CHECK (plaintext IN (0, 1)),
    reason       TEXT NOT NULL CHECK (plaintext = 0 OR reason <> ''),
    review       TEXT,
    created      INTEGER NOT NULL,
    UNIQUE (organization, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE knock (
    calling TEXT NOT NULL,
    address TEXT NOT NULL,
    called  TEXT NOT NULL,
    reason  TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (calling, address)
) STRICT, WITHOUT ROWID;

-- Grows with each change of a device or zone, so that every process drops what it remembers.
CREATE TABLE revision (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL
) STRICT;

INSERT INTO revision (only, number) VALUES (1, 0);

CREATE TRIGGER device_added AFTER INSERT ON device
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER device_changed AFTER UPDATE ON device
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER device_removed AFTER DELETE ON device
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER zone_added AFTER INSERT ON zone
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER zone_changed AFTER UPDATE ON zone
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER zone_removed AFTER DELETE ON zone
BEGIN
    UPDATE revision SET number = number + 1;
END;
