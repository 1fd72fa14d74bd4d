-- The key of a row is the first 63 bits of its id (see id.rs): rows are stored in the order in which they came, and no
-- table needs an index to find a row by its id.

CREATE TABLE events (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    code TEXT,
    message TEXT,
    tried TEXT NOT NULL,      -- JSON: the plugin versions that were tried
    incidents TEXT NOT NULL,  -- JSON: the incidents that the event created or changed
    content_type TEXT,
    headers TEXT NOT NULL,    -- JSON: pairs
    context TEXT NOT NULL,    -- JSON: pairs
    signed_at INTEGER,        -- milliseconds
    digest BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- One index for each status that is searched. A query must have the status in its text to use an index.
CREATE INDEX events_queued ON events (key) WHERE status = 'queued';
CREATE INDEX events_quarantined ON events (key) WHERE status = 'quarantined';

-- The keys by which repeats are recognised. `at` is the signed time in milliseconds, or the end of the window into
-- which the event falls. `at` comes first, so that old rows are together and new rows are added at the end. `digest` is
-- the digest of the body, or of the body and the sender's delivery id.
CREATE TABLE repeats (
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    digest BLOB NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (at, source, digest)
) STRICT, WITHOUT ROWID;

-- `record` is the present state. Counts that change without an audit entry have columns of their own.
CREATE TABLE incidents (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    number INTEGER NOT NULL UNIQUE,
    source TEXT NOT NULL,
    source_ref TEXT NOT NULL,
    status TEXT NOT NULL,
    severity TEXT NOT NULL,
    created_at INTEGER NOT NULL,   -- nanoseconds, as updated_at
    updated_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,   -- microseconds: the time of the newest state that was applied
    pinned TEXT NOT NULL,          -- JSON: the fields that payloads do not change
    occurrences INTEGER NOT NULL,
    event_ids BLOB NOT NULL,       -- 16 bytes each, the newest last
    newest_audit INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX incidents_ref ON incidents (source, source_ref, key);

-- The entries of an incident form a list from the newest one back. `object` is null while the incident has not changed
-- since, which is possible only in its newest entry. `details` is null in a Creation: the details are the attributes of
-- the object.
CREATE TABLE audit (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    incident INTEGER NOT NULL,
    previous INTEGER,
    operation TEXT NOT NULL,
    at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    details TEXT,
    object TEXT
) STRICT;

CREATE TABLE deliveries (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    audit INTEGER NOT NULL,
    destination TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    error TEXT
) STRICT;

CREATE INDEX deliveries_pending ON deliveries (destination, next_at) WHERE status = 'pending';

CREATE TABLE attempts (
    delivery INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    http_status INTEGER,
    error TEXT,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- Destinations that answered 410 and get no more deliveries, with the URL that answered.
CREATE TABLE disabled_destinations (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE numbers (
    year INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;

-- The files of compiled plugins in the cache folder, with their digests.
CREATE TABLE compiled (
    name TEXT PRIMARY KEY,
    plugin TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
