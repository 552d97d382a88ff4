-- The fence of either store: statements that are not the ferry's are refused while its triggers stand (fence.py). Idempotent.

CREATE SCHEMA IF NOT EXISTS shopferry;

CREATE OR REPLACE FUNCTION shopferry.refuse_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('shopferry.writer', true) = 'ferry' THEN
        RETURN NULL;
    END IF;
    -- The fence's arguments: the route; then the store to write to and the route's version that makes it so, where known.
    IF TG_NARGS < 3 THEN
        RAISE EXCEPTION 'moved: %.% is not open for writes (route %)', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
            USING ERRCODE = 'SF001', HINT = 'Read ferry.route and write to the active store.';
    END IF;
    RAISE EXCEPTION 'moved: %.% is not open for writes (route %, version %: write to %)',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[2], TG_ARGV[1]
        USING ERRCODE = 'SF001',
            DETAIL = json_build_object('route', TG_ARGV[0], 'store', TG_ARGV[1], 'version', TG_ARGV[2]::integer)::text,
            HINT = 'Read ferry.route and write to the active store; until it has this version, the switch is under way.';
END $$;
