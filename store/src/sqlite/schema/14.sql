-- The sessions of browsers. `token` is the digest of the token that began the session, as `hash` in `tokens`: a session is
-- valid only while its token is.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,
    token BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;
