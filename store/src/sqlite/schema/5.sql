-- A delivery is about an audit entry, an event or a `notice`. Deliveries of a notification have its name and step.
CREATE TABLE told (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    destination TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER,            -- milliseconds; null while an earlier delivery of the same subject blocks it
    error TEXT,
    subject INTEGER NOT NULL,   -- the key of the incident or event; for a notice, the delivery's own key
    audit INTEGER,
    event INTEGER,
    notice TEXT,                -- JSON: something that happened to the host itself
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

-- The health of destinations. A destination whose endpoint changes has a new `fingerprint`.
CREATE TABLE destinations (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,  -- a digest of the endpoint, which may contain a secret
    failing_since INTEGER,      -- when the first attempt failed after which none succeeded
    disabled TEXT               -- why the destination is disabled, if it is
) STRICT, WITHOUT ROWID;

-- A destination that was disabled before is enabled again: its endpoint was stored in another form.
DROP TABLE disabled_destinations;

-- Sources about whose silence notifications were queued, until they send again.
CREATE TABLE silent_sources (
    source TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
