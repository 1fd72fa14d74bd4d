-- The parts of `words`. The incidents of a part have keys from `first_key` on, up to the next part, and each of their words begins
-- with the number of the part, except in part 0. `incidents` is the number of those that were added.
CREATE TABLE word_parts (
    number INTEGER PRIMARY KEY,
    first_key INTEGER NOT NULL UNIQUE,
    incidents INTEGER NOT NULL
) STRICT;

INSERT INTO word_parts (number, first_key, incidents)
SELECT 0, 0, count(*) FROM incidents WHERE key <= (SELECT up_to FROM indexed);
