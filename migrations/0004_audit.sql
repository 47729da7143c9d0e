-- What happened to accounts and sessions, in order.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    -- In seconds since 1970.
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- No reference: an entry outlives its account. Null where there is no such account, for what
    -- people type into the name's field is at times their password.
    account INTEGER,
    name TEXT,
    name_key TEXT,
    address TEXT,
    agent TEXT,
    request TEXT,
    detail TEXT
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_event ON audit (event);
CREATE INDEX audit_name ON audit (name_key);
