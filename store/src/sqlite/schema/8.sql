
-- What operators and their programs changed through the API. `key` is the row key of `id`, the id of the request.
CREATE TABLE operator_actions (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    token TEXT NOT NULL,
    address TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER NOT NULL
) STRICT;
