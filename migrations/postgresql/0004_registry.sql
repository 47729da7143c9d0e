-- Where accounts are signed in. An id names a sign-in and lets nobody in: the session holds it, and
-- counts as long as the row is here.
CREATE TABLE sign_ins (
    id text COLLATE "C" PRIMARY KEY,
    account bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- In seconds since 1970. By "expires" the session has ended by itself.
    created bigint NOT NULL,
    last_seen bigint NOT NULL,
    expires bigint NOT NULL,
    -- Of the client when it was last seen; null where clients are not recorded.
    address text,
    agent text
);
CREATE INDEX sign_ins_account ON sign_ins (account, last_seen);
CREATE INDEX sign_ins_expires ON sign_ins (expires);
