-- How far sources were read that the host reads by itself.
CREATE TABLE cursors (
    source TEXT PRIMARY KEY,
    position TEXT NOT NULL,     -- what the server goes on from: an id of a stream, or milliseconds
    start TEXT NOT NULL         -- where it was to begin; another text is another beginning
) STRICT, WITHOUT ROWID;

-- When a payload of the source was last taken, in milliseconds.
ALTER TABLE tallies ADD COLUMN heard_at INTEGER;
UPDATE tallies SET heard_at = last_success;
