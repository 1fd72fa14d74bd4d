-- Incidents that a playbook is to look at, or could not. A row comes with what makes the incident new, and goes with what
-- the playbook did. What is shown of it stands in the incident's record.
CREATE TABLE triage (
    incident INTEGER PRIMARY KEY,
    playbook TEXT NOT NULL,
    asked INTEGER NOT NULL,     -- whether somebody asked for it, rather than the source's auto_triage
    attempts INTEGER NOT NULL,
    failed_on TEXT,             -- the digest of the plugin that could not; another version is tried again
    request_id TEXT NOT NULL    -- what wanted it
) STRICT;

CREATE INDEX triage_waiting ON triage (playbook, incident) WHERE failed_on IS NULL;
CREATE INDEX triage_failed ON triage (playbook) WHERE failed_on IS NOT NULL;
