-- name: plan
-- A unit waits for its first load. One whose target has rows already is noted from now on.
INSERT INTO ferry.unloaded (route, unit, loading) VALUES (%(route)s, %(unit)s, %(noted)s)
ON CONFLICT (route, unit) DO UPDATE SET loading = excluded.loading;

-- name: units
SELECT unit, loading FROM ferry.unloaded WHERE route = %(route)s;

-- name: begin
-- From this commit on the stream notes what it touches of the unit.
UPDATE ferry.unloaded SET loading = true WHERE route = %(route)s AND unit = %(unit)s;

-- name: finish
-- From this commit on the stream merges the unit itself.
DELETE FROM ferry.unloaded WHERE route = %(route)s AND unit = %(unit)s;

-- name: has_touched
SELECT EXISTS (SELECT FROM ferry.touched WHERE route = %(route)s);

-- name: noted
-- Units of these that have keys waiting to be merged.
SELECT u.name FROM unnest(%(units)s::text[]) AS u (name)
WHERE EXISTS (SELECT FROM ferry.touched t WHERE t.route = %(route)s AND t.unit = u.name)
  AND NOT EXISTS (SELECT FROM ferry.unloaded l WHERE l.route = %(route)s AND l.unit = u.name);

-- name: waiting
-- Units of these that have keys waiting which a batch that ran ahead has noted.
SELECT u.name FROM unnest(%(units)s::text[]) AS u (name)
WHERE EXISTS (SELECT FROM ferry.touched t WHERE t.route = %(route)s AND t.unit = u.name AND t.ahead)
  AND NOT EXISTS (SELECT FROM ferry.unloaded l WHERE l.route = %(route)s AND l.unit = u.name);

-- name: last_noted
-- The number up to which whole transactions have noted keys of these units, about so many of them; and the last number.
WITH noted AS MATERIALIZED (
    SELECT no, noted_by FROM ferry.touched WHERE route = %(route)s AND unit = ANY(%(units)s)
)
SELECT coalesce((SELECT max(no) FROM noted WHERE noted_by = (SELECT noted_by FROM noted ORDER BY no OFFSET %(about)s LIMIT 1)),
                max(no)), max(no) FROM noted;

-- name: forget_gone
DELETE FROM ferry.touched WHERE route = %(route)s AND unit <> ALL(%(units)s);

-- name: take_touched
-- Some of the keys that were noted for the unit; they are noted no more.
WITH chosen AS MATERIALIZED (
    SELECT DISTINCT key FROM ferry.touched WHERE route = %(route)s AND unit = %(unit)s ORDER BY key LIMIT %(limit)s
), gone AS (
    DELETE FROM ferry.touched t USING chosen c WHERE t.route = %(route)s AND t.unit = %(unit)s AND t.key = c.key
)
SELECT key FROM chosen;

-- name: are_done
SELECT NOT EXISTS (SELECT FROM ferry.unloaded WHERE route = %(route)s AND unit = ANY(%(units)s))
   AND NOT EXISTS (SELECT FROM ferry.touched WHERE route = %(route)s AND unit = ANY(%(units)s));
