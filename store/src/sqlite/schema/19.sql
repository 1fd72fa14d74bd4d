-- The key up to which incidents are in `postings` and `words`. Those with larger keys are added many at once, at the latest
-- before the tables are read.
CREATE TABLE indexed (up_to INTEGER NOT NULL) STRICT;
INSERT INTO indexed (up_to) SELECT coalesce(max(key), 0) FROM incidents;
