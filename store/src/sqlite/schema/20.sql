-- The time of the last update of most incidents is that in their key, because nothing changed them. The index of classes
-- keeps all others apart, so that only these need an index with the time.
DROP INDEX incidents_class;
DROP INDEX incidents_updated;
DROP INDEX incidents_changed;
CREATE INDEX incidents_class ON incidents (status, severity, source, updated_at <> (key >> 15) * 1000000) WHERE deleted = 0;
CREATE INDEX incidents_updated ON incidents (status, severity, source, updated_at)
WHERE deleted = 0 AND updated_at <> (key >> 15) * 1000000;
CREATE INDEX incidents_moved ON incidents (updated_at) WHERE deleted = 0 AND updated_at <> (key >> 15) * 1000000;
