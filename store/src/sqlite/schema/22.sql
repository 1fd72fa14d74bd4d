-- Repeat keys that were added lately, in the order in which they came. Digests are random: in `repeats`, almost every key is
-- written to a page of its own, so that keys are moved there later, many at once. A key may be in both tables, and here
-- more than once; the row with the largest position counts.
CREATE TABLE recent_repeats (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    digest BLOB NOT NULL,
    event INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
