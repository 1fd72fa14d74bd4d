-- The restores of this database from backups. Ids that are made later come after `last_key`, so that they differ from those
-- that were made after the backup.
CREATE TABLE restores (
    at INTEGER PRIMARY KEY,     -- milliseconds, as backup_at
    backup_at INTEGER NOT NULL,
    last_key INTEGER NOT NULL
) STRICT;
