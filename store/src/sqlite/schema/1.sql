-- A row's key is the first 63 bits of its id (see id.rs): rows lie in the order in which they came, and no table needs
-- an index to find one by its id.

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
    incidents TEXT NOT NULL,  -- JSON: the incidents that it made or changed
    content_type TEXT,
    headers TEXT NOT NULL,    -- JSON: pairs
    context TEXT NOT NULL,    -- JSON: pairs
    signed_at INTEGER,        -- milliseconds
    digest BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- One for each status that is looked for; a query must name the status in its text to use one.
CREATE INDEX events_queued ON events (key) WHERE status = 'queued';
CREATE INDEX events_quarantined ON events (key) WHERE status = 'quarantined';

-- What makes a repeat: `at` is the time of signing in milliseconds, or else the end of the window that the event fell
-- into. It comes first so that old rows lie together and new ones are added at the end. `digest` is that of the body, or
-- of that and the sender's id of the delivery.
CREATE TABLE repeats (
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    digest BLOB NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (at, source, digest)
) STRICT, WITHOUT ROWID;

-- `record` is the present state; what is counted without an audit entry stands in columns.
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
    changed_at INTEGER NOT NULL,   -- microseconds: the newest state that was applied
    pinned TEXT NOT NULL,          -- JSON: fields that payloads leave alone
    occurrences INTEGER NOT NULL,
    event_ids BLOB NOT NULL,       -- 16 bytes each, the newest last
    newest_audit INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX incidents_ref ON incidents (source, source_ref, key);

-- An incident's entries form a list from the newest back. `object` is null while the incident has not changed in any way
-- since, which can only be in its newest entry; `details` is null in a Creation, where they are the object's attributes.
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

-- Destinations that asked not to be called again, at the URL that asked.
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

-- The compiled plugins in the cache folder and the digests of their files.
CREATE TABLE compiled (
    name TEXT PRIMARY KEY,
    plugin TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
