-- Who has looked at whose data: one row before each look, append-only. Idempotent; it stands before the other control tables
-- where a mapping is tried on legacy's rows.

CREATE SCHEMA IF NOT EXISTS ferry;

CREATE TABLE IF NOT EXISTS ferry.looked (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- a number that is missing was taken back, or a crash took it
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    who      text NOT NULL CONSTRAINT looked_by_somebody CHECK (who <> ''),
    role     text NOT NULL DEFAULT session_user,               -- the database's role that was logged in
    verb     text NOT NULL,                                    -- of the command line, or the function of a role
    relation text NOT NULL,
    keys     text[] NOT NULL,                                  -- of the rows; of a function the person's
    why      text NOT NULL CONSTRAINT looked_for_a_reason CHECK (btrim(why) <> '')
);
CREATE INDEX IF NOT EXISTS looked_at ON ferry.looked (at);
COMMENT ON TABLE ferry.looked IS 'Table of shopferry: who has looked at whose data, and why.';

CREATE OR REPLACE FUNCTION ferry.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'ferry.%: % is refused, what is booked stays', TG_TABLE_NAME, TG_OP USING ERRCODE = 'SF003';
END $$;
CREATE OR REPLACE TRIGGER looked_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ferry.looked
    FOR EACH STATEMENT EXECUTE FUNCTION ferry.refuse_rewriting();
