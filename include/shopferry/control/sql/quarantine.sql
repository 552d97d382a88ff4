-- name: clear
-- Forget what these keys had in quarantine or left out and do not have any more.
WITH q AS (
    DELETE FROM ferry.quarantine q USING pg_temp.affected a
    WHERE q.entity = %(entity)s AND q.key = a.key::text
      AND NOT EXISTS (SELECT FROM pg_temp.outcome o WHERE o.row_key = q.row_key AND o.reasons IS NOT NULL)
)
DELETE FROM ferry.left_out l USING pg_temp.affected a
WHERE l.entity = %(entity)s AND l.key = a.key::text
  AND NOT EXISTS (SELECT FROM pg_temp.outcome o WHERE o.row_key = l.row_key AND o.left_out IS NOT NULL);

-- name: put
INSERT INTO ferry.quarantine AS q (entity, row_key, key, reasons)
SELECT %(entity)s, row_key, key, reasons FROM pg_temp.outcome WHERE reasons IS NOT NULL
ON CONFLICT (entity, row_key) DO UPDATE
SET key = excluded.key, reasons = excluded.reasons, sqlstate = NULL, constraint_name = NULL
WHERE (q.key, q.reasons, q.sqlstate) IS DISTINCT FROM (excluded.key, excluded.reasons, NULL);

-- name: leave_out
INSERT INTO ferry.left_out AS l (entity, row_key, key, reason)
SELECT %(entity)s, row_key, key, left_out FROM pg_temp.outcome WHERE left_out IS NOT NULL
ON CONFLICT (entity, row_key) DO UPDATE SET key = excluded.key, reason = excluded.reason
WHERE (l.key, l.reason) IS DISTINCT FROM (excluded.key, excluded.reason);

-- name: refuse
-- One row that the shop's own constraints refuse.
INSERT INTO ferry.quarantine (entity, row_key, key, reasons, sqlstate, constraint_name)
VALUES (%(entity)s, %(row_key)s, %(key)s, %(reasons)s, %(sqlstate)s, %(constraint_name)s)
ON CONFLICT (entity, row_key) DO UPDATE
SET key = excluded.key, reasons = excluded.reasons, sqlstate = excluded.sqlstate, constraint_name = excluded.constraint_name;

-- name: clear_key
-- What was known of a key and its rows, before all of them are refused.
WITH q AS (
    DELETE FROM ferry.quarantine WHERE entity = %(entity)s AND key = %(key)s AND row_key <> ALL(%(rows)s)
)
DELETE FROM ferry.left_out WHERE entity = %(entity)s AND (key = %(key)s OR row_key = ANY(%(rows)s));

-- name: forget
DELETE FROM ferry.quarantine WHERE entity = %(entity)s AND row_key = %(row_key)s;

-- name: entries
SELECT entity, row_key, key, reasons, sqlstate, constraint_name, since FROM ferry.quarantine
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(reason)s::text IS NULL OR %(reason)s = ANY(reasons))
ORDER BY entity, row_key LIMIT %(limit)s;

-- name: counts
SELECT entity, reason, count(*) FROM ferry.quarantine, unnest(reasons) AS reason
GROUP BY entity, reason ORDER BY entity, count(*) DESC, reason;
