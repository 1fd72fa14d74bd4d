-- Lists of failed events by what else a search names.
DROP INDEX events_code;
CREATE INDEX events_code ON events (code, status, source) WHERE code IS NOT NULL;
