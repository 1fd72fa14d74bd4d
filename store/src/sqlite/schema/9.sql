-- The object of an entry that is not the newest one is restored from the object of the entry `next`, or from the incident
-- as it is now if there is no `next`: `difference` has the members that differed, and `moved` those that changed before
-- the next entry without an entry of their own. Entries of earlier versions have an `object`. `details` is an object, or
-- an array of the names of attributes whose values are in the object.
ALTER TABLE audit ADD COLUMN difference TEXT;
ALTER TABLE audit ADD COLUMN moved TEXT;
ALTER TABLE audit ADD COLUMN next INTEGER;

-- When the event arrived, in milliseconds. The key of the event is later if the clock went back.
ALTER TABLE repeats ADD COLUMN received_at INTEGER;

-- The identity of this database, which `store.mark` beside it names too.
CREATE TABLE identity (id TEXT NOT NULL) STRICT;
INSERT INTO identity (id) VALUES (lower(hex(randomblob(16))));
