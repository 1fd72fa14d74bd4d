-- Deliveries tell of an audit entry, of an event, or of what is in `notice`; those of a notification name it and its step.
CREATE TABLE told (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    destination TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER,            -- milliseconds; null while one of the same subject is before it
    error TEXT,
    subject INTEGER NOT NULL,   -- what it tells of: the key of the incident, else its own
    audit INTEGER,
    event INTEGER,
    notice TEXT,                -- JSON: what happened to the host itself
    notification TEXT,
    step INTEGER
) STRICT;

INSERT INTO told (key, id, destination, status, attempts, next_at, error, subject, audit)
SELECT d.key, d.id, d.destination, d.status, d.attempts, d.next_at, d.error, a.incident, d.audit
FROM deliveries d JOIN audit a ON a.key = d.audit;

DROP TABLE deliveries;
ALTER TABLE told RENAME TO deliveries;

CREATE INDEX deliveries_pending ON deliveries (destination, next_at) WHERE status = 'pending';
CREATE INDEX deliveries_subject ON deliveries (destination, subject, key) WHERE status = 'pending';
CREATE INDEX deliveries_dead ON deliveries (destination) WHERE status = 'dead';
CREATE INDEX deliveries_dead_key ON deliveries (key) WHERE status = 'dead';

ALTER TABLE attempts ADD COLUMN code TEXT;
ALTER TABLE attempts ADD COLUMN answer TEXT;

-- Destinations that fail, or get nothing any more. What was changed there since makes a new `fingerprint`.
CREATE TABLE destinations (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,  -- a digest of where it is, which may hold a secret
    failing_since INTEGER,      -- when the first attempt failed after which none arrived
    disabled TEXT               -- why it gets nothing
) STRICT, WITHOUT ROWID;

-- One that was disabled before gets another chance: where it is was written otherwise.
DROP TABLE disabled_destinations;

-- Sources that were told of as silent, until they send again.
CREATE TABLE silent_sources (
    source TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
