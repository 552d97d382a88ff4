-- Functions of the route, in schema clean. IMMUTABLE, for the same row must always map the same way.

-- Customers, guests and log-ins are numbered anew: accounts with one e-mail are one, and may part again.
CREATE SEQUENCE IF NOT EXISTS clean.person_number;

-- What Medusa has for an id: prefix, ten digits of a number (Oscar's own where it can be), sixteen hex digits that nobody can guess
-- without the secret.
-- It is spelled as a ULID, comes before all that the application gives out, and leads back to its row by clean.number_of.
CREATE OR REPLACE FUNCTION clean.make_id(prefix text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN prefix || '_' || lpad(number::text, 10, '0')
    || upper(left(encode(sha256(convert_to((SELECT value FROM ferry.setting WHERE name = 'id_secret')
                                           || '/' || prefix || '/' || number, 'UTF8')), 'hex'), 16));

-- The number that an id was made of; NULL of an id that the application has given out: those begin with letters among the digits.
CREATE OR REPLACE FUNCTION clean.number_of(id text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN id ~ '(^|_)[0-9]{10}[0-9A-F]{16}$' THEN left(right(id, 26), 10)::bigint END;

-- Rows of a second table of Oscar that become rows of the same table of Medusa have numbers from here on.
CREATE OR REPLACE FUNCTION clean.second(number bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN 5000000000 + number;

-- Money and quantities stand twice in Medusa; the application believes the JSON one.
CREATE OR REPLACE FUNCTION clean.big(amount numeric) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('value', trim_scale(amount)::text, 'precision', 20);

-- A moment as JSON has it, whatever the session's time zone.
CREATE OR REPLACE FUNCTION clean.moment(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE
RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- What a setting of the form `name=value, name=value` says of a name, without regard to capitals.
CREATE OR REPLACE FUNCTION clean.look_up(listed text, name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT btrim(substr(item, strpos(item, '=') + 1)) FROM regexp_split_to_table(listed, '\s*,\s*') WITH ORDINALITY i (item, n)
        WHERE lower(btrim(split_part(item, '=', 1))) = lower(btrim(name)) ORDER BY n LIMIT 1);

-- The tax rate in percent by which `net` became `gross`: of the known ones that which comes nearest, if it is right but for the
-- rounding of each piece; else what divides them.
CREATE OR REPLACE FUNCTION clean.tax_rate(gross numeric, net numeric, pieces integer, known text) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN gross = net OR coalesce(net, 0) <= 0 THEN 0 ELSE coalesce(
    (SELECT r.rate FROM (SELECT item::numeric AS rate FROM regexp_split_to_table(known, '\s*,\s*') i (item)) r
     WHERE abs(gross - net * (1 + r.rate / 100)) <= 0.01 * greatest(pieces, 1)
     ORDER BY abs(gross - net * (1 + r.rate / 100)), r.rate LIMIT 1),
    round((gross / net - 1) * 100, 4)) END;
