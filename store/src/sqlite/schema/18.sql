-- The id of the group in which an event in quarantine is listed; null for all other events.
ALTER TABLE events ADD COLUMN failure_group TEXT;

-- The events of a group by their keys, with all by which groups are listed.
DROP INDEX events_failures;
CREATE INDEX events_failure_group ON events (failure_group, key, source) WHERE status = 'quarantined';
