-- What the server has counted of failed sign-ins, for its next start. A key is a hash of an
-- account's name, of an address, or of both. Times are in milliseconds since 1970.
CREATE TABLE sign_in_tries (
    key INTEGER PRIMARY KEY,
    failed INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_tries_last ON sign_in_tries (last);

-- Pairs of account and address that have signed in.
CREATE TABLE sign_in_known (
    key INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_known_last ON sign_in_known (last);
