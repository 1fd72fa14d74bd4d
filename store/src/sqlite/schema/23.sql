-- The list of states as alternatives: for a list in parentheses SQLite makes a table in memory with each incident that is
-- written.
DROP INDEX incidents_ended;
CREATE INDEX incidents_ended ON incidents (newest_audit)
WHERE deleted = 1 OR status = 'resolved' OR status = 'false_positive' OR status = 'closed';
