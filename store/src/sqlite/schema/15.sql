-- Why an operator discarded the event, and what an operator's request did or why, in words.
ALTER TABLE events ADD COLUMN discard_reason TEXT;
ALTER TABLE operator_actions ADD COLUMN note TEXT;

-- Everything by which events in quarantine are grouped, so that no row is read for it.
CREATE INDEX events_failures ON events (code, tried, source, message) WHERE status = 'quarantined';
