-- The values by which incidents are found that were not deleted: `kind` is 0 for a tag, 1 for the value of an observable,
-- 2 for a technique, 3 for an assignee. Long values are stored as their beginning and a digest.
CREATE TABLE postings (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    incident INTEGER NOT NULL,
    PRIMARY KEY (kind, value, incident)
) STRICT, WITHOUT ROWID;

-- The words of the same incidents. The text of a row is a list of words that were split and lowered before: the
-- tokenizer leaves these as they are.
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '.-_'"
);

-- Lists of incidents by words that few values share, in the order of creation and in that of the last update.
CREATE INDEX incidents_class ON incidents (status, severity, source) WHERE deleted = 0;
CREATE INDEX incidents_updated ON incidents (status, severity, source, updated_at) WHERE deleted = 0;

-- Incidents that were changed after their creation: all others were updated when they were created.
CREATE INDEX incidents_changed ON incidents (updated_at) WHERE deleted = 0 AND updated_at > created_at;

-- Incidents whose key is later than their time of creation, because the clock was set back. All others are found in the
-- range of keys that belongs to a range of times.
CREATE INDEX incidents_ahead ON incidents (key, created_at) WHERE (key >> 15) - created_at / 1000000 > 1000;

CREATE INDEX events_class ON events (status, source);
CREATE INDEX events_code ON events (code, status, source) WHERE code IS NOT NULL;

-- The events of incidents that are no longer among the newest ones in `incidents.event_ids`.
CREATE TABLE earlier_events (
    incident INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (incident, event)
) STRICT, WITHOUT ROWID;

INSERT INTO earlier_events (incident, event)
SELECT DISTINCT incidents.key, events.key
FROM events, json_each(events.incidents) AS named
    JOIN incidents ON incidents.number = (substr(named.value ->> 'number', 5, 4) << 32) + substr(named.value ->> 'number', 10)
WHERE EXISTS (SELECT 1 FROM incidents WHERE occurrences > 100)
    AND incidents.occurrences > 100 AND instr(incidents.event_ids, events.id) = 0;
