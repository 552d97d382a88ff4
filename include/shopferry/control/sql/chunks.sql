-- name: forget
-- A new plan replaces the old one.
DELETE FROM ferry.chunk WHERE route = %(route)s AND phase = %(phase)s AND kind = %(kind)s;

-- name: plan
INSERT INTO ferry.chunk (route, phase, kind, target, position, no, low, high)
VALUES (%(route)s, %(phase)s, %(kind)s, %(target)s, %(position)s, %(no)s, %(low)s, %(high)s);

-- name: claim
-- The next chunk nobody works on; its row lock is the claim, so a worker that dies gives it back by dying. The chunks of a
-- merge are planned when it is their turn.
SELECT phase, kind, target, position, no, low, high, state, rows
FROM ferry.chunk c
WHERE route = %(route)s AND phase = %(phase)s AND kind = %(kind)s AND state = 'planned'
  AND (%(target)s::text IS NULL OR target = %(target)s)
  AND (%(first)s::integer IS NULL OR no >= %(first)s) AND (%(last)s::integer IS NULL OR no <= %(last)s)
ORDER BY position, no LIMIT 1 FOR UPDATE OF c SKIP LOCKED;

-- name: done
UPDATE ferry.chunk SET state = 'done', rows = %(rows)s, attempts = attempts + 1, worker = %(worker)s,
       finished = clock_timestamp(), seconds = %(seconds)s, watermark = %(watermark)s
WHERE route = %(route)s AND phase = %(phase)s AND kind = %(kind)s AND target = %(target)s AND no = %(no)s;

-- name: open
SELECT EXISTS (
    SELECT FROM ferry.chunk
    WHERE route = %(route)s AND phase = %(phase)s AND kind = %(kind)s AND state = 'planned'
      AND (%(target)s::text IS NULL OR target = %(target)s)
      AND (%(first)s::integer IS NULL OR no >= %(first)s) AND (%(last)s::integer IS NULL OR no <= %(last)s));

-- name: open_targets
SELECT DISTINCT target FROM ferry.chunk
WHERE route = %(route)s AND phase = %(phase)s AND kind = %(kind)s AND state = 'planned';

-- name: merged
-- One look for both: between two another worker could plan the next target. The targets of a plan of thousands are looked at
-- only when none of its chunks waits.
SELECT NOT EXISTS (
    SELECT FROM ferry.chunk WHERE route = %(route)s AND phase = %(phase)s AND kind = 'merge' AND state = 'planned'
) AND %(targets)s::text[] <@ (
    SELECT array_agg(DISTINCT target) FROM ferry.chunk WHERE route = %(route)s AND phase = %(phase)s AND kind = 'merge');

-- name: resyncing
SELECT count(*) FROM ferry.chunk WHERE route = %(route)s AND kind = 'resync' AND state = 'planned';

-- name: progress
SELECT phase, kind, target, count(*) FILTER (WHERE state = 'done') AS done, count(*) AS total,
       coalesce(sum(rows), 0)::bigint AS rows, coalesce(sum(seconds), 0) AS seconds
FROM ferry.chunk WHERE route = %(route)s
GROUP BY phase, kind, target, position ORDER BY phase, kind, position;

-- name: rate
-- Rows of a kind done by all workers in the last seconds: what the throttle is judged by.
SELECT coalesce(sum(rows), 0)::bigint FROM ferry.chunk
WHERE route = %(route)s AND phase = %(phase)s AND kind = 'copy' AND finished > clock_timestamp() - %(window)s::interval;
