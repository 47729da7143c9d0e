-- Where accounts are signed in. An id names a sign-in and lets nobody in: the session holds it, and
-- counts as long as the row is here.
CREATE TABLE sign_ins (
    id TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- In seconds since 1970. By "expires" the session has ended by itself.
    created INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- Of the client when it was last seen; null where clients are not recorded.
    address TEXT,
    agent TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_ins_account ON sign_ins (account, last_seen);
CREATE INDEX sign_ins_expires ON sign_ins (expires);
