-- name: settle
-- Bring quarantine and left-out rows of the affected keys to what the mapping says of them. `outcome` is a SELECT of
-- (row_key, key, reasons, left_out), one row for each that may not enter the shop. Rows that one of these keys kept out are
-- tried again. Tells how many rows of these keys the database itself had refused before. The caller says which entry is one
-- of an affected key.
WITH outcome AS MATERIALIZED ({outcome}), released AS (
    DELETE FROM ferry.quarantine q USING {affected} a
    WHERE q.entity = {entity} AND {of_quarantine}
      AND q.row_key NOT IN (SELECT o.row_key FROM outcome o WHERE o.reasons IS NOT NULL)
), let_in AS (
    DELETE FROM ferry.left_out l USING {affected} a
    WHERE l.entity = {entity} AND {of_left_out}
      AND l.row_key NOT IN (SELECT o.row_key FROM outcome o WHERE o.left_out IS NOT NULL)
), quarantined AS (
    INSERT INTO ferry.quarantine AS q (entity, row_key, key, reasons)
    SELECT {entity}, row_key, key, reasons FROM outcome WHERE reasons IS NOT NULL
    ON CONFLICT (entity, row_key) DO UPDATE
    SET key = excluded.key, reasons = excluded.reasons, sqlstate = NULL, constraint_name = NULL, held_by = NULL
    WHERE (q.key, q.reasons, q.sqlstate) IS DISTINCT FROM (excluded.key, excluded.reasons, NULL)
), left_out AS (
    INSERT INTO ferry.left_out AS l (entity, row_key, key, reason)
    SELECT {entity}, row_key, key, left_out FROM outcome WHERE left_out IS NOT NULL
    ON CONFLICT (entity, row_key) DO UPDATE SET key = excluded.key, reason = excluded.reason
    WHERE (l.key, l.reason) IS DISTINCT FROM (excluded.key, excluded.reason)
), let_go AS (
    UPDATE ferry.quarantine q SET held_by = '' FROM {affected} a
    WHERE q.entity = {entity} AND q.held_by = a.key::text AND q.key NOT IN (SELECT o.key::text FROM {affected} o)
)
SELECT count(*) FROM ferry.quarantine q JOIN {affected} a ON {of_quarantine}
WHERE q.entity = {entity} AND q.sqlstate IS NOT NULL;

-- name: by_age
-- How many rows of each entity wait, and since when the oldest of them.
SELECT entity, count(*), min(since) FROM ferry.quarantine GROUP BY entity ORDER BY entity;

-- name: refuse
-- One row that the shop's own constraints refuse.
INSERT INTO ferry.quarantine (entity, row_key, key, reasons, sqlstate, constraint_name, held_by)
VALUES (%(entity)s, %(row_key)s, %(key)s, %(reasons)s, %(sqlstate)s, %(constraint_name)s, %(held_by)s)
ON CONFLICT (entity, row_key) DO UPDATE
SET key = excluded.key, reasons = excluded.reasons, sqlstate = excluded.sqlstate, constraint_name = excluded.constraint_name,
    held_by = excluded.held_by;

-- name: restate
-- Rows of a key that wait, and that the shop's own constraints refuse now.
UPDATE ferry.quarantine SET reasons = %(reasons)s, sqlstate = %(sqlstate)s, constraint_name = %(constraint_name)s, held_by = NULL
WHERE entity = %(entity)s AND key = %(key)s;

-- name: drop
-- Rows that wait are given up, and count as left out.
WITH dropped AS (
    DELETE FROM ferry.quarantine
    WHERE entity = ANY(%(entities)s) AND (%(reason)s::text IS NULL OR %(reason)s = ANY(reasons))
      AND (%(row_key)s::text IS NULL OR row_key = %(row_key)s)
    RETURNING entity, row_key, key, reasons
), left_out AS (
    INSERT INTO ferry.left_out (entity, row_key, key, reason) SELECT entity, row_key, key, 'dropped' FROM dropped
), noted AS (
    INSERT INTO ferry.decision (route, entity, row_key, reasons, why, who)
    SELECT %(route)s, entity, row_key, reasons, %(why)s, %(who)s FROM dropped
)
SELECT count(*) FROM dropped;

-- name: clear_key
-- What was known of a key and its rows, before all of them are refused.
WITH q AS (
    DELETE FROM ferry.quarantine WHERE entity = %(entity)s AND key = %(key)s AND row_key <> ALL(%(rows)s)
)
DELETE FROM ferry.left_out WHERE entity = %(entity)s AND (key = %(key)s OR row_key = ANY(%(rows)s));

-- name: has_any
SELECT FROM ferry.quarantine WHERE entity = %(entity)s UNION ALL SELECT FROM ferry.left_out WHERE entity = %(entity)s LIMIT 1;

-- name: forget_gone
-- What was known of an entity's keys that no source has any more. `keys` is a SELECT of (key).
WITH gone AS MATERIALIZED (
    SELECT key FROM ferry.quarantine WHERE entity = {entity} UNION SELECT key FROM ferry.left_out WHERE entity = {entity}
    EXCEPT SELECT k.key::text FROM ({keys}) k
), released AS (
    DELETE FROM ferry.quarantine q USING gone g WHERE q.entity = {entity} AND q.key = g.key
), let_in AS (
    DELETE FROM ferry.left_out l USING gone g WHERE l.entity = {entity} AND l.key = g.key
)
SELECT count(*) FROM gone;

-- name: forget
DELETE FROM ferry.quarantine WHERE entity = %(entity)s AND row_key = %(row_key)s;

-- name: entries
SELECT entity, row_key, key, reasons, sqlstate, constraint_name, since FROM ferry.quarantine
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(reason)s::text IS NULL OR %(reason)s = ANY(reasons))
ORDER BY entity, row_key LIMIT %(limit)s;

-- name: keys
-- The next of an entity's keys that are merged again.
SELECT DISTINCT key FROM ferry.quarantine
WHERE entity = %(entity)s AND (%(reason)s::text IS NULL OR %(reason)s = ANY(reasons))
  AND (%(after)s::text IS NULL OR key > %(after)s)
ORDER BY key LIMIT %(limit)s;

-- name: refused
-- Keys that the database itself refuses: since then, or of these.
SELECT DISTINCT key FROM ferry.quarantine
WHERE entity = %(entity)s AND sqlstate IS NOT NULL AND (since >= %(since)s OR key = ANY(%(keys)s))
ORDER BY key;

-- name: wait_for_others
-- Whether any row waits for a reference to go, and whether any for a unique value that may be free now.
SELECT EXISTS (SELECT FROM ferry.quarantine WHERE reasons @> '{still_referenced}'),
       EXISTS (SELECT FROM ferry.quarantine WHERE held_by = '');

-- name: let_go
-- The rows that a key's rows kept out, when these have gone.
UPDATE ferry.quarantine SET held_by = '' WHERE entity = %(entity)s AND held_by = %(key)s;

-- name: freed
SELECT DISTINCT key FROM ferry.quarantine WHERE entity = %(entity)s AND held_by = '' ORDER BY key;

-- name: count
SELECT count(*) FROM ferry.quarantine
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(reason)s::text IS NULL OR %(reason)s = ANY(reasons));

-- name: counts
SELECT entity, reason, count(*) FROM ferry.quarantine, unnest(reasons) AS reason
GROUP BY entity, reason ORDER BY entity, count(*) DESC, reason;
