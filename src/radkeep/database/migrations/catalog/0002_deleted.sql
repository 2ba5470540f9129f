-- SPDX-License-Identifier: Apache-2.0
-- What people deleted is hidden, not gone. The registry decides; this is its copy, see
-- catalog.overlay.

ALTER TABLE instance ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX instance_deleted ON instance (organization, uid) WHERE deleted = 1;

-- 1 while all instances of the study are deleted. Few rows ever change, so the walk by date has it.
ALTER TABLE study ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
DROP INDEX study_date;
CREATE INDEX study_date ON study (organization, date, id, time, sex, description, hidden);

-- Which state of the registry's deletions the columns above show.
CREATE TABLE overlay (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO overlay (id, version) VALUES (1, 0);
