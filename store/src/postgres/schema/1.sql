-- The key of a row is the first 63 bits of its id (see id.rs). Integers are `bigint`, texts are compared by their bytes,
-- and JSON is `text`, because records are shown as they were written. Texts have no zero byte: see `stored_text` in
-- columns.rs.

-- One row. Each group of writes of any host begins with `SELECT … FOR UPDATE` of it, so that all groups are serial. The
-- counters grow with each group that changed their topic.
CREATE TABLE head (
    is_head boolean PRIMARY KEY DEFAULT true CHECK (is_head),
    number bigint NOT NULL,         -- of the newest group
    last_key bigint NOT NULL,       -- no row of an earlier group has a larger key
    newest_audit bytea NOT NULL,    -- the id of the newest audit entry, or one that precedes all others
    deliveries bigint NOT NULL,
    retries bigint NOT NULL,
    queued bigint NOT NULL,
    triage bigint NOT NULL,
    settings bigint NOT NULL        -- registered sources, states of destinations, silent sources
);

INSERT INTO head (number, last_key, newest_audit, deliveries, retries, queued, triage, settings)
VALUES (0, 0, decode('00000000000070008000000000000000', 'hex'), 0, 0, 0, 0, 0);

-- The events whose status the newest groups changed, for the watchers on other hosts. A group has the place
-- `number % 1024` and replaces the group that had it before.
CREATE TABLE group_events (
    place bigint PRIMARY KEY,
    number bigint NOT NULL,
    host text COLLATE "C" NOT NULL,
    events bytea NOT NULL           -- 16 bytes each
);

-- The hosts that run, or ran a short time ago. A host has its slot alone while it runs: the slot is in the keys of its rows.
CREATE TABLE hosts (
    id text COLLATE "C" PRIMARY KEY,
    slot bigint NOT NULL UNIQUE CHECK (slot BETWEEN 0 AND 31),
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    waiting text[] NOT NULL DEFAULT '{}'   -- the leases of others that it would take
);

-- The newest group of each host that was committed: it tells a host whether its group was, if the answer of COMMIT was lost.
-- A host that was forgotten writes nothing before it has a slot again.
CREATE TABLE groups (
    host text COLLATE "C" PRIMARY KEY REFERENCES hosts (id) ON DELETE CASCADE,
    number bigint NOT NULL
);

-- The leases. `host` is null while a lease is free; its epoch stays, and grows with each grant.
CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY,
    host text COLLATE "C",
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE events (
    key bigint PRIMARY KEY,
    id bytea NOT NULL,
    source text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    received_at bigint NOT NULL,
    attempts bigint NOT NULL,
    code text COLLATE "C",
    message text COLLATE "C",
    tried text COLLATE "C" NOT NULL,        -- JSON: the plugin versions that were tried
    incidents text COLLATE "C" NOT NULL,    -- JSON: the incidents that the event created or changed
    content_type text COLLATE "C",
    headers text COLLATE "C" NOT NULL,      -- JSON: pairs
    context text COLLATE "C" NOT NULL,      -- JSON: pairs
    signed_at bigint,                       -- milliseconds
    digest bytea NOT NULL,
    body bytea NOT NULL,
    body_removed_at bigint,                 -- when retention removed the body, which is empty then
    traceparent text COLLATE "C",
    discard_reason text COLLATE "C",
    stored_at bigint,
    journey text COLLATE "C",               -- JSON
    log text COLLATE "C",                   -- JSON
    failure_group text COLLATE "C"          -- the group in which an event in quarantine is listed
);

CREATE INDEX events_status ON events (status, key);
CREATE INDEX events_source ON events (source, key);
CREATE INDEX events_failure_group ON events (failure_group, key) INCLUDE (source) WHERE failure_group IS NOT NULL;
CREATE INDEX events_code ON events (code, key) WHERE code IS NOT NULL;

-- The keys by which repeats are recognised. `at` is the signed time in milliseconds, or the end of the window into
-- which the event falls. `digest` is the digest of the body, or of the body and the sender's delivery id.
CREATE TABLE repeats (
    at bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    event bigint NOT NULL,
    received_at bigint,                     -- when the event arrived, in milliseconds
    PRIMARY KEY (at, source, digest)
);

-- `record` is the present state. Counts that change without an audit entry have columns of their own.
CREATE TABLE incidents (
    key bigint NOT NULL,
    id bytea NOT NULL,
    number bigint NOT NULL UNIQUE,
    source text COLLATE "C" NOT NULL,
    source_ref text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,             -- nanoseconds, as updated_at
    updated_at bigint NOT NULL,
    changed_at bigint NOT NULL,             -- microseconds: the time of the newest state that was applied
    pinned text COLLATE "C" NOT NULL,       -- JSON: the fields that payloads do not change
    occurrences bigint NOT NULL,
    event_ids bytea NOT NULL,               -- 16 bytes each, the newest last
    newest_audit bigint NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    record text COLLATE "C" NOT NULL,       -- JSON
    -- Lists in the order of creation are read from the index alone, as far as they do without the record.
    PRIMARY KEY (key) INCLUDE (deleted, status, severity, source, created_at, updated_at)
);

CREATE INDEX incidents_ref ON incidents (source_ref, source, key);
CREATE INDEX incidents_ended ON incidents (newest_audit)
    WHERE deleted OR status IN ('resolved', 'false_positive', 'closed');
CREATE INDEX incidents_class ON incidents (status, severity, source, key) WHERE NOT deleted;
CREATE INDEX incidents_updated ON incidents (updated_at, key) INCLUDE (status, severity, source, created_at)
    WHERE NOT deleted;
CREATE INDEX incidents_ahead ON incidents (key, created_at) WHERE (key >> 15) - created_at / 1000000 > 1000;

-- The events of incidents that are no longer among the newest ones in `incidents.event_ids`.
CREATE TABLE earlier_events (
    incident bigint NOT NULL,
    event bigint NOT NULL,
    PRIMARY KEY (incident, event)
);

-- Incidents with `hold`: everything that belongs to them is kept. Their records say so too.
CREATE TABLE holds (incident bigint PRIMARY KEY);

-- The values by which incidents are found that were not deleted: `kind` is 0 for a tag, 1 for the value of an observable,
-- 2 for a technique, 3 for an assignee. Long values are stored as their beginning and a digest.
CREATE TABLE postings (
    kind bigint NOT NULL,
    value text COLLATE "C" NOT NULL,
    incident bigint NOT NULL,
    PRIMARY KEY (kind, value, incident)
);

-- Of an incident, whether it has one of many values.
CREATE INDEX postings_incident ON postings (incident);

-- The words of the same incidents, which were split and lowered before.
CREATE TABLE words (
    incident bigint PRIMARY KEY,
    words tsvector NOT NULL
);

CREATE INDEX words_words ON words USING gin (words);

-- The entries of an incident form a list from the newest one back. The object of an entry that is not the newest one is
-- restored from the object of the entry `next`, or from the incident as it is now if there is no `next`: `difference`
-- has the members that differed, and `moved` those that changed before the next entry without an entry of their own.
-- `details` is null in a Creation, else an object, or an array of the names of attributes whose values are in the object.
CREATE TABLE audit (
    key bigint PRIMARY KEY,
    id bytea NOT NULL,
    incident bigint NOT NULL,
    previous bigint,
    operation text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    details text COLLATE "C",
    object text COLLATE "C",                -- of entries that an earlier version wrote into another database
    difference text COLLATE "C",
    moved text COLLATE "C",
    next bigint
);

-- A delivery is about an audit entry, an event or a `notice`. Deliveries of a notification have its name and step.
CREATE TABLE deliveries (
    key bigint PRIMARY KEY,
    id bytea NOT NULL,
    destination text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL,
    next_at bigint,                         -- milliseconds; null while an earlier delivery of the same subject blocks it
    error text COLLATE "C",
    subject bigint NOT NULL,                -- the key of the incident or event; for a notice, the delivery's own key
    audit bigint,
    event bigint,
    notice text COLLATE "C",                -- JSON: something that happened to the host itself
    notification text COLLATE "C",
    step bigint,
    traceparent text COLLATE "C"
);

CREATE INDEX deliveries_pending ON deliveries (destination, next_at, key) WHERE status = 'pending';
CREATE INDEX deliveries_subject ON deliveries (destination, subject, key) WHERE status = 'pending';
CREATE INDEX deliveries_dead ON deliveries (destination, key) WHERE status = 'dead';
CREATE INDEX deliveries_dead_key ON deliveries (key) WHERE status = 'dead';
CREATE INDEX deliveries_told ON deliveries (subject);
CREATE INDEX deliveries_notified ON deliveries (notification, key) WHERE notification IS NOT NULL;

CREATE TABLE attempts (
    delivery bigint NOT NULL,
    number bigint NOT NULL,
    at bigint NOT NULL,
    duration_ms bigint NOT NULL,
    http_status bigint,
    error text COLLATE "C",
    code text COLLATE "C",
    answer text COLLATE "C",
    PRIMARY KEY (delivery, number)
);

-- The health of destinations. A destination whose endpoint changes has a new `fingerprint`.
CREATE TABLE destinations (
    name text COLLATE "C" PRIMARY KEY,
    fingerprint text COLLATE "C" NOT NULL,  -- a digest of the endpoint, which may contain a secret
    failing_since bigint,                   -- when the first attempt failed after which none succeeded
    disabled text COLLATE "C"               -- why the destination is disabled, if it is
);

CREATE TABLE numbers (
    year bigint PRIMARY KEY,
    last bigint NOT NULL
);

CREATE TABLE tokens (
    name text COLLATE "C" PRIMARY KEY,
    scope text COLLATE "C" NOT NULL,
    hash bytea NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint
);

-- The sessions of browsers. `token` is the digest of the token that began the session, as `hash` in `tokens`.
CREATE TABLE sessions (
    digest bytea PRIMARY KEY,
    token bytea NOT NULL,
    created_at bigint NOT NULL,
    used_at bigint NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY  -- the order in which sessions began
);

-- What operators and their programs changed through the API. `key` is the row key of `id`, the id of the request.
CREATE TABLE operator_actions (
    key bigint PRIMARY KEY,
    id bytea NOT NULL,
    at bigint NOT NULL,
    token text COLLATE "C" NOT NULL,
    address text COLLATE "C",
    method text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    status bigint NOT NULL,
    note text COLLATE "C"
);

-- The files of compiled plugins in the cache folders, with their digests.
CREATE TABLE compiled (
    name text COLLATE "C" PRIMARY KEY,
    plugin text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    compiled_at bigint NOT NULL
);

-- Sources that were registered while a host ran. Sources of the configuration file are not here.
CREATE TABLE sources (
    name text COLLATE "C" PRIMARY KEY,
    declaration text COLLATE "C" NOT NULL,  -- JSON: the keys of the configuration file, without secrets
    created_at bigint NOT NULL
);

CREATE TABLE source_secrets (
    source text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    sealed bytea NOT NULL,                  -- encrypted; the key is not in the database
    created_at bigint NOT NULL,
    not_after bigint,
    PRIMARY KEY (source, id)
);

-- The counts of every source, stored from time to time.
CREATE TABLE tallies (
    source text COLLATE "C" PRIMARY KEY,
    received bigint NOT NULL,
    accepted bigint NOT NULL,
    duplicates bigint NOT NULL,
    refused bigint NOT NULL,
    last_success bigint,
    error_at bigint,
    error_code text COLLATE "C",
    error_message text COLLATE "C",
    heard_at bigint                         -- when a payload of the source was last accepted, in milliseconds
);

-- Triage requests: incidents for which a playbook is to be called, or has failed.
CREATE TABLE triage (
    incident bigint PRIMARY KEY,
    playbook text COLLATE "C" NOT NULL,
    asked boolean NOT NULL,                 -- whether a person asked for triage, rather than the source's auto_triage
    attempts bigint NOT NULL,
    failed_on text COLLATE "C",             -- the digest of the plugin that failed; another version is called again
    request_id text COLLATE "C" NOT NULL    -- the id of the request that caused it
);

CREATE INDEX triage_waiting ON triage (playbook, incident) WHERE failed_on IS NULL;
CREATE INDEX triage_failed ON triage (playbook) WHERE failed_on IS NOT NULL;

-- Versions of plugins that were proven or live. The version of a plugin with the newest `live_since` is live.
CREATE TABLE plugin_versions (
    plugin text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    seen_at bigint NOT NULL,
    live_since bigint,                      -- when the version last went live
    state text COLLATE "C" NOT NULL,        -- `accepted`, `refused` by its proof, `held` by a rollback, `promoted` by an operator
    report text COLLATE "C",                -- the newest proof, as JSON
    PRIMARY KEY (plugin, sha256)
);

-- Sources about whose silence notifications were queued, until they send again.
CREATE TABLE silent_sources (
    source text COLLATE "C" PRIMARY KEY,
    since bigint NOT NULL
);

-- Conditions of the host itself about which notifications were queued, until they end.
CREATE TABLE raised_notices (
    trigger text COLLATE "C" PRIMARY KEY,
    since bigint NOT NULL
);

-- The positions up to which pulled sources were read.
CREATE TABLE cursors (
    source text COLLATE "C" PRIMARY KEY,
    position text COLLATE "C" NOT NULL,     -- where the next request continues: an id of a stream, or milliseconds
    start text COLLATE "C" NOT NULL         -- the configured start; another text is a new start
);

-- The identity of this database.
CREATE TABLE identity (id text COLLATE "C" NOT NULL);
INSERT INTO identity (id) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- The restores of this database from backups. Ids that are made later come after `last_key`.
CREATE TABLE restores (
    at bigint PRIMARY KEY,                  -- milliseconds, as backup_at
    backup_at bigint NOT NULL,
    last_key bigint NOT NULL
);

-- The key up to which retention has looked at the rows of a kind.
CREATE TABLE retention (
    kind text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL
);

-- Events below these positions that had to stay when retention looked at them, and are looked at again.
CREATE TABLE kept_events (event bigint PRIMARY KEY);

-- What happened, by minutes since the Unix epoch. `name` is a source or a destination.
CREATE TABLE counts (
    minute bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    result text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (minute, kind, name, result)
);

-- The rows that are stored, by the day in their keys, in days since the Unix epoch. Only payloads have bytes.
CREATE TABLE stored_days (
    kind text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (kind, day)
);

-- The bytes of the database in use, by hours since the Unix epoch.
CREATE TABLE storage_samples (
    hour bigint PRIMARY KEY,
    used_bytes bigint NOT NULL
);
