-- The files of plugins that hosts found in their plugins folders. The bytes are kept as long as the version has a row in
-- `plugin_versions`. The row remains after that, so that an old file in the folder of a host does not count as a new one.
CREATE TABLE plugin_files (
    plugin text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL,
    number bigint NOT NULL,                 -- the order in which the files of a plugin were put into folders
    signature text COLLATE "C",
    bytes bytea CHECK (octet_length(bytes) <= 67108864),
    PRIMARY KEY (plugin, sha256)
);

ALTER TABLE hosts ADD COLUMN plugins text COLLATE "C" NOT NULL DEFAULT '[]'; -- JSON: the plugin versions that are loaded
