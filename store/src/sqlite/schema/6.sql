-- The positions up to which pulled sources were read.
CREATE TABLE cursors (
    source TEXT PRIMARY KEY,
    position TEXT NOT NULL,     -- where the next request continues: an id of a stream, or milliseconds
    start TEXT NOT NULL         -- the configured start; another text is a new start
) STRICT, WITHOUT ROWID;

-- When a payload of the source was last accepted, in milliseconds.
ALTER TABLE tallies ADD COLUMN heard_at INTEGER;
UPDATE tallies SET heard_at = last_success;
