-- Failed sign-ins, counted over all nodes. A key is a hash of an account's name, of an address, or
-- of both: what people type into the name's field is at times their password.
CREATE TABLE sign_in_tries (
    key bytea PRIMARY KEY,
    -- In a row.
    failed integer NOT NULL DEFAULT 0,
    -- Being checked now.
    pending integer NOT NULL DEFAULT 0,
    -- The last failure, and the last try.
    last timestamptz NOT NULL DEFAULT clock_timestamp(),
    begun timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sign_in_tries_last ON sign_in_tries (last);

-- Pairs of account and address that have signed in.
CREATE TABLE sign_in_known (
    key bytea PRIMARY KEY,
    last timestamptz NOT NULL
);
CREATE INDEX sign_in_known_last ON sign_in_known (last);

-- Begins a try. "counted" is the account, or the pair where that has signed in before, so that
-- others' failures do not count there. "wait" is 0 when the try has begun, the seconds until one is
-- taken, or null while as many are being checked as may fail at once. All times are in seconds.
CREATE FUNCTION sign_in_begin(
    account bytea, pair bytea, address bytea,
    account_free integer, account_longest double precision,
    address_free integer, address_longest double precision,
    memory double precision, stale double precision,
    OUT counted bytea, OUT wait double precision
) LANGUAGE plpgsql AS $$
DECLARE
    tries sign_in_tries%ROWTYPE;
    moment timestamptz;
    free integer;
    longest double precision;
    no_room boolean := false;
BEGIN
    wait := 0;
    counted := account;
    IF EXISTS (SELECT FROM sign_in_known AS known WHERE known.key = pair) THEN
        counted := pair;
    END IF;
    INSERT INTO sign_in_tries (key)
        SELECT made FROM unnest(ARRAY[counted, address]) AS made ORDER BY made
        ON CONFLICT DO NOTHING;
    FOR tries IN
        SELECT * FROM sign_in_tries AS one WHERE one.key IN (counted, address)
        ORDER BY one.key FOR UPDATE
    LOOP
        moment := clock_timestamp();
        -- Nobody checks them any more: their node has gone. They count as failed.
        IF tries.pending > 0 AND moment - tries.begun >= make_interval(secs => stale) THEN
            tries.failed := tries.failed + tries.pending;
            tries.pending := 0;
            tries.last := greatest(tries.last, tries.begun);
        END IF;
        IF moment - tries.last >= make_interval(secs => memory) THEN
            tries.failed := 0;
        END IF;
        UPDATE sign_in_tries AS one
            SET failed = tries.failed, pending = tries.pending, last = tries.last
            WHERE one.key = tries.key
            AND (one.failed, one.pending) IS DISTINCT FROM (tries.failed, tries.pending);
        free := account_free;
        longest := account_longest;
        IF tries.key = address THEN
            free := address_free;
            longest := address_longest;
        END IF;
        IF tries.failed >= free THEN
            wait := greatest(wait, extract(epoch FROM tries.last - moment)
                + least(2 ^ least(tries.failed - free, 16), longest));
        END IF;
        no_room := no_room OR tries.pending > 0 AND tries.failed + tries.pending >= free;
    END LOOP;
    IF wait > 0 THEN
        RETURN;
    ELSIF no_room THEN
        wait := NULL;
    ELSE
        UPDATE sign_in_tries AS one SET pending = one.pending + 1, begun = clock_timestamp()
            WHERE one.key IN (counted, address);
    END IF;
END
$$;

-- Ends a try that has begun: it has "failed", "succeeded", or come to nothing.
CREATE FUNCTION sign_in_settle(counted bytea, pair bytea, address bytea, outcome text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM sign_in_tries AS one WHERE one.key IN (counted, address)
        ORDER BY one.key FOR UPDATE;
    UPDATE sign_in_tries AS one SET
        pending = greatest(one.pending - 1, 0),
        failed = CASE
            WHEN outcome = 'failed' THEN one.failed + 1
            -- The address's failures stay: whoever guesses must not clear them with an account of
            -- his own.
            WHEN outcome = 'succeeded' AND one.key = counted THEN 0
            ELSE one.failed
        END,
        last = CASE WHEN outcome = 'failed' THEN clock_timestamp() ELSE one.last END
        WHERE one.key IN (counted, address);
    IF outcome = 'succeeded' THEN
        INSERT INTO sign_in_known AS known (key, last) VALUES (pair, clock_timestamp())
            ON CONFLICT (key) DO UPDATE SET last = excluded.last;
    END IF;
END
$$;
