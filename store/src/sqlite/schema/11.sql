-- When retention removed the body of an event, in milliseconds; the body is empty then.
ALTER TABLE events ADD COLUMN body_removed_at INTEGER;

-- Incidents with `hold`: everything that belongs to them is kept. Their records say so too.
CREATE TABLE holds (incident INTEGER PRIMARY KEY) STRICT;
UPDATE incidents SET record = json_set(record, '$.hold', json('false')) WHERE json_type(record, '$.hold') IS NULL;

-- Incidents that retention may remove, in the order of their last change.
CREATE INDEX incidents_ended ON incidents (newest_audit)
WHERE deleted = 1 OR status IN ('resolved', 'false_positive', 'closed');

-- The key up to which retention has looked at the rows of a kind.
CREATE TABLE retention (
    kind TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events below these positions that had to stay when retention looked at them, and are looked at again.
CREATE TABLE kept_events (event INTEGER PRIMARY KEY) STRICT;

-- What happened, by minutes since the Unix epoch. `name` is a source or a destination.
CREATE TABLE counts (
    minute INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    result TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, kind, name, result)
) STRICT, WITHOUT ROWID;

-- The rows that are stored, by the day in their keys, in days since the Unix epoch. Only payloads have bytes.
CREATE TABLE stored_days (
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, day)
) STRICT, WITHOUT ROWID;

INSERT INTO stored_days (kind, day, rows, bytes)
SELECT 'payloads', (key >> 15) / 86400000, count(*), sum(length(body)) FROM events GROUP BY 2
UNION ALL SELECT 'events', (key >> 15) / 86400000, count(*), 0 FROM events GROUP BY 2
UNION ALL SELECT 'incidents', (key >> 15) / 86400000, count(*), 0 FROM incidents GROUP BY 2
UNION ALL SELECT 'audit', (key >> 15) / 86400000, count(*), 0 FROM audit GROUP BY 2
UNION ALL SELECT 'deliveries', (key >> 15) / 86400000, count(*), 0 FROM deliveries GROUP BY 2;

-- The bytes of the database in use, by hours since the Unix epoch.
CREATE TABLE storage_samples (
    hour INTEGER PRIMARY KEY,
    used_bytes INTEGER NOT NULL
) STRICT;

-- Conditions of the host itself about which notifications were queued, until they end.
CREATE TABLE raised_notices (
    trigger TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
