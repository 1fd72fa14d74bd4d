-- Sources that were registered while the host ran. Sources of the configuration file are not here.
CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    declaration TEXT NOT NULL,  -- JSON: the keys of the configuration file, without secrets
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE source_secrets (
    source TEXT NOT NULL,
    id INTEGER NOT NULL,
    sealed BLOB NOT NULL,       -- encrypted; the key is not in the database
    created_at INTEGER NOT NULL,
    not_after INTEGER,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- The counts of every source, stored from time to time.
CREATE TABLE tallies (
    source TEXT PRIMARY KEY,
    received INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    last_success INTEGER,
    error_at INTEGER,
    error_code TEXT,
    error_message TEXT
) STRICT, WITHOUT ROWID;
