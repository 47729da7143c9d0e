-- AUTOINCREMENT: an id is never used twice, so a removed account's sessions cannot become
-- another's.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    -- Raised to end all of the account's sessions: each holds the epoch it was made in.
    epoch INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL
) STRICT;
