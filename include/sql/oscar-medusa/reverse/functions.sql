-- Functions of the way back, in schema clean of Oscar's database.

-- The number that an id was made of; NULL of an id that the application has given out.
CREATE OR REPLACE FUNCTION clean.number_of(id text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN id ~ '(^|_)[0-9]{10}[0-9A-F]{16}$' THEN left(right(id, 26), 10)::bigint END;

-- Oscar's number of a row, which the way there and the triggers of keys.sql write, and nobody else can.
CREATE OR REPLACE FUNCTION clean.legacy_id(metadata jsonb) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN metadata->'legacy'->>'id' ~ '^[0-9]{1,9}$' THEN (metadata->'legacy'->>'id')::integer END;

-- An order's address is one of Oscar's table for delivery or of that for bills; one that was born in Medusa has a number in both.
CREATE OR REPLACE FUNCTION clean.shipping_id(id text, metadata jsonb) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN coalesce(clean.number_of(id), 0) < 5000000000 THEN clean.legacy_id(metadata) END;

CREATE OR REPLACE FUNCTION clean.billing_id(id text, metadata jsonb) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN clean.number_of(id) >= 5000000000 THEN clean.legacy_id(metadata)
            WHEN clean.number_of(id) IS NULL AND metadata->'legacy'->>'billing_id' ~ '^[0-9]{1,9}$'
            THEN (metadata->'legacy'->>'billing_id')::integer END;

-- What a setting of the form `name=value, name=value` says of a name, without regard to capitals.
CREATE OR REPLACE FUNCTION clean.look_up(listed text, name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT btrim(substr(item, strpos(item, '=') + 1)) FROM regexp_split_to_table(listed, '\s*,\s*') WITH ORDINALITY i (item, n)
        WHERE lower(btrim(split_part(item, '=', 1))) = lower(btrim(name)) ORDER BY n LIMIT 1);

-- The first name for which such a setting says this value.
CREATE OR REPLACE FUNCTION clean.look_back(listed text, value text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT btrim(split_part(item, '=', 1)) FROM regexp_split_to_table(listed, '\s*,\s*') WITH ORDINALITY i (item, n)
        WHERE lower(btrim(substr(item, strpos(item, '=') + 1))) = lower(btrim(value)) ORDER BY n LIMIT 1);
