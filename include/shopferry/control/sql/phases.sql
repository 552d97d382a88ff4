-- name: register
-- A phase of the route, once.
INSERT INTO ferry.phase (route, phase, position) VALUES (%(route)s, %(phase)s, %(position)s)
ON CONFLICT (route, phase) DO UPDATE SET position = excluded.position;

-- name: all
-- Every phase of the route, in order.
SELECT phase, position, state, holder, held_since, held_until > now() AS held, chunk_size, rows_per_second, sample,
       generation, started, finished, seconds, ran_by
FROM ferry.phase WHERE route = %(route)s ORDER BY position;

-- name: move
-- One legal step of the state machine; no row comes back when the phase is not where it was believed to be.
UPDATE ferry.phase
SET state = %(target)s, updated = now(),
    started = CASE WHEN %(target)s = 'copying' THEN coalesce(started, now()) ELSE started END,
    finished = CASE WHEN %(target)s IN ('verified', 'cut_over') THEN now() ELSE NULL END
WHERE route = %(route)s AND phase = %(phase)s AND state = ANY(%(sources)s)
RETURNING state;

-- name: settings
-- How this run goes about it.
UPDATE ferry.phase SET chunk_size = %(chunk_size)s, rows_per_second = %(rows_per_second)s, sample = %(sample)s
WHERE route = %(route)s AND phase = %(phase)s;

-- name: hold
-- Take the phase for a run, or renew; no row comes back while another run holds it.
UPDATE ferry.phase
SET holder = %(holder)s, ran_by = %(holder)s, held_until = now() + %(lease)s::interval,
    held_since = CASE WHEN holder = %(holder)s THEN held_since ELSE now() END
WHERE route = %(route)s AND phase = %(phase)s
  AND (holder IS NULL OR holder = %(holder)s OR held_until < now())
RETURNING holder;

-- name: renew
-- Work on a phase keeps its holder's lease alive.
UPDATE ferry.phase SET held_until = now() + %(lease)s::interval
WHERE route = %(route)s AND phase = %(phase)s AND holder IS NOT NULL AND held_until < now() + %(lease)s::interval / 2;

-- name: release
UPDATE ferry.phase SET holder = NULL, held_since = NULL, held_until = NULL
WHERE route = %(route)s AND phase = %(phase)s AND holder = %(holder)s;

-- name: add_seconds
UPDATE ferry.phase SET seconds = seconds + %(seconds)s WHERE route = %(route)s AND phase = %(phase)s;

-- name: lock_all
-- The share lock makes a change of state wait for the batch that is being applied.
SELECT phase, state, generation FROM ferry.phase WHERE route = %(route)s ORDER BY position FOR SHARE;

-- name: share_all
SELECT phase, state FROM ferry.phase WHERE route = %(route)s ORDER BY position FOR KEY SHARE;

-- name: next_generation
UPDATE ferry.phase SET generation = generation + 1 WHERE route = %(route)s AND phase = %(phase)s RETURNING generation;
