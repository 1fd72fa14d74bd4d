-- Versions of plugins that were tried or live. Their bytes lie in the data folder, under `versions`. Of each plugin the one
-- with the newest `live_since` is live.
CREATE TABLE plugin_versions (
    plugin TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    live_since INTEGER,         -- when it went live last
    state TEXT NOT NULL,        -- `accepted`, `refused` by its proof, `held` back by a rollback, or `promoted` by hand
    report TEXT,                -- the newest proof, as JSON
    PRIMARY KEY (plugin, sha256)
) STRICT, WITHOUT ROWID;

-- When a plugin was compiled: that of the version before the newest is kept for a rollback.
ALTER TABLE compiled ADD COLUMN compiled_at INTEGER NOT NULL DEFAULT 0;
