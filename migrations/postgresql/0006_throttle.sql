-- A try that is refused leaves no row: whoever may not try must not push out what is counted of
-- others.
CREATE OR REPLACE FUNCTION sign_in_begin(
    account bytea, pair bytea, address bytea,
    account_free integer, account_longest double precision,
    address_free integer, address_longest double precision,
    memory double precision, stale double precision,
    OUT counted bytea, OUT wait double precision
) LANGUAGE plpgsql AS $$
DECLARE
    tries sign_in_tries%ROWTYPE;
    made bytea[];
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
    WITH new AS (
        INSERT INTO sign_in_tries AS one (key)
            SELECT given FROM unnest(ARRAY[counted, address]) AS given ORDER BY given
            ON CONFLICT DO NOTHING
            RETURNING one.key
    )
    SELECT array_agg(new.key) INTO made FROM new;
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
    IF wait > 0 OR no_room THEN
        DELETE FROM sign_in_tries AS one WHERE one.key = ANY (made);
    END IF;
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
