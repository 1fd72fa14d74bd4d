-- Versions of plugins that were proven or live. Their files are in the data folder, under `versions`. The version of a
-- plugin with the newest `live_since` is live.
CREATE TABLE plugin_versions (
    plugin TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    live_since INTEGER,         -- when the version last went live
    state TEXT NOT NULL,        -- `accepted`, `refused` by its proof, `held` by a rollback, `promoted` by an operator
    report TEXT,                -- the newest proof, as JSON
    PRIMARY KEY (plugin, sha256)
) STRICT, WITHOUT ROWID;

-- When a plugin was compiled. The file of the version before the newest is kept for a rollback.
ALTER TABLE compiled ADD COLUMN compiled_at INTEGER NOT NULL DEFAULT 0;
