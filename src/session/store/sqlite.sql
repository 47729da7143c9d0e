-- `id` is the store key: a prefix and, unless SESSION_HASH_IDS is off, a hash.
-- `expires` is milliseconds since 1970; a row is dead from that moment on.
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires);
