-- Schema ferry_masked of the new shop: the same rows, as much of them as a role may see. `shopferry phase init --roles` makes it,
-- `finish` drops it.

CREATE SCHEMA ferry_masked;
COMMENT ON SCHEMA ferry_masked IS 'Views of shopferry on the new shop, masked by personal.txt; dropped at the end of the migration.';

-- What a text looks like, without what it says: a letter becomes x, a capital X, a digit 9; what is not ASCII becomes x. The locale
-- of the database has no say.
CREATE FUNCTION ferry_masked.mask(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
           regexp_replace(
               regexp_replace(
                   regexp_replace(left(value, 60), '[a-z]' COLLATE "C", 'x', 'g'),
                   '[A-Z]' COLLATE "C", 'X', 'g'),
               '[0-9]' COLLATE "C", '9', 'g'),
           '[^\x01-\x7f]' COLLATE "C", 'x', 'g')
    || CASE WHEN length(value) > 60 THEN '… (' || length(value) || ' characters)' ELSE '' END;

-- Books a look, before any row of it is returned. A look that is taken back by a ROLLBACK leaves a number missing in the book, and
-- this line in the server's log.
CREATE FUNCTION ferry_masked.note_look(verb text, relation text, key text, why text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF key IS NULL OR coalesce(btrim(why), '') = '' THEN
        RAISE EXCEPTION 'say whose rows, and why: SELECT * FROM %(''7'', ''ticket 12'')', verb USING ERRCODE = '22004';
    END IF;
    -- A join with a list of keys would be everybody at once.
    IF EXISTS (SELECT FROM ferry.looked l WHERE l.at >= statement_timestamp() AND l.role = session_user
               AND l.verb = note_look.verb AND l.keys <> ARRAY[note_look.key]) THEN
        RAISE EXCEPTION 'one person at a time: % is asked for a second key by one statement', verb USING ERRCODE = '42501';
    END IF;
    INSERT INTO ferry.looked (who, verb, relation, keys, why) VALUES (session_user, verb, relation, ARRAY[key], why);
    RAISE LOG 'shopferry: % looks at % of %', session_user, relation, key;
END $$;
REVOKE ALL ON FUNCTION ferry_masked.note_look(text, text, text, text) FROM PUBLIC;
