-- Triage requests: incidents for which a playbook is to be called, or has failed. A row is added in the transaction
-- that makes the incident new, and removed in the transaction that applies the result. The state that the API shows is
-- in the incident's record.
CREATE TABLE triage (
    incident INTEGER PRIMARY KEY,
    playbook TEXT NOT NULL,
    asked INTEGER NOT NULL,     -- whether a person asked for triage, rather than the source's auto_triage
    attempts INTEGER NOT NULL,
    failed_on TEXT,             -- the digest of the plugin that failed; another version is called again
    request_id TEXT NOT NULL    -- the id of the request that caused it
) STRICT;

CREATE INDEX triage_waiting ON triage (playbook, incident) WHERE failed_on IS NULL;
CREATE INDEX triage_failed ON triage (playbook) WHERE failed_on IS NOT NULL;
