-- The parts of `words`. The incidents of a part have keys from `first_key` on, up to the next part, and each of their words
-- begins with the number of the part, except in part 0. `incidents` is the number of those that were added.
CREATE TABLE word_parts (
    number INTEGER PRIMARY KEY,
    first_key INTEGER NOT NULL UNIQUE,
    incidents INTEGER NOT NULL
) STRICT;

-- Part 0 has the incidents up to here. It counts as full, so that new ones begin part 1.
INSERT INTO word_parts (number, first_key, incidents) VALUES (0, 0, 100000);
