-- name: forget
-- What was settled long ago without a word. Who repaired how many stays in ferry.repair.
DELETE FROM ferry.difference
WHERE route = %(route)s AND phase = %(phase)s AND state IN ('gone', 'repaired') AND settled < now() - %(kept)s::interval;

-- name: begin
-- A run that was broken off goes on where it stopped, unless the phase has been at work since.
WITH going AS (
    SELECT v.at FROM ferry.verification v JOIN ferry.phase p USING (route, phase)
    WHERE v.route = %(route)s AND v.phase = %(phase)s AND v.finished IS NULL
      AND v.at > p.updated AND v.at > now() - %(memory)s::interval
    ORDER BY v.at DESC LIMIT 1
), begun AS (
    INSERT INTO ferry.verification (route, phase, at, finished, rows_compared, differences, seconds, accounting, files)
    SELECT %(route)s, %(phase)s, clock_timestamp(), NULL, 0, 0, 0, '[]', %(files)s WHERE NOT EXISTS (SELECT FROM going)
    RETURNING at
)
SELECT at FROM going UNION ALL SELECT at FROM begun;

-- name: steps
SELECT layer, target, high FROM ferry.verification_step
WHERE route = %(route)s AND phase = %(phase)s AND at = %(at)s;

-- name: step
INSERT INTO ferry.verification_step (route, phase, at, layer, target, high)
VALUES (%(route)s, %(phase)s, %(at)s, %(layer)s, %(target)s, %(high)s)
ON CONFLICT (route, phase, at, layer, target) DO UPDATE SET high = excluded.high;

-- name: progress
UPDATE ferry.verification SET rows_compared = rows_compared + %(rows)s, seconds = seconds + %(seconds)s
WHERE route = %(route)s AND phase = %(phase)s AND at = %(at)s;

-- name: found
-- What was open stays so, what was explained stays explained, what was settled is open again.
INSERT INTO ferry.difference AS d
    (route, phase, layer, target, key, column_name, kind, aggregate, expected, found, first_seen, last_seen)
SELECT %(route)s, %(phase)s, layer, target, key, column_name, kind, aggregate, expected, found, %(at)s, %(at)s
FROM unnest(%(layers)s::text[], %(targets)s::text[], %(keys)s::text[], %(columns)s::text[], %(kinds)s::text[],
            %(aggregates)s::text[], %(expecteds)s::text[], %(founds)s::text[])
     AS s (layer, target, key, column_name, kind, aggregate, expected, found)
ON CONFLICT (route, phase, layer, target, key, column_name) DO UPDATE
SET kind = excluded.kind, aggregate = excluded.aggregate, expected = excluded.expected, found = excluded.found,
    last_seen = excluded.last_seen,
    first_seen = CASE WHEN d.state IN ('open', 'explained') THEN d.first_seen ELSE excluded.first_seen END,
    state = CASE WHEN d.state = 'explained' AND d.kind = excluded.kind THEN d.state ELSE 'open' END,
    explanation = CASE WHEN d.state = 'explained' AND d.kind = excluded.kind THEN d.explanation END,
    who = CASE WHEN d.state = 'explained' AND d.kind = excluded.kind THEN d.who END,
    settled = NULL;

-- name: finish
-- What a whole verification has not met any more is gone.
UPDATE ferry.difference SET state = 'gone', settled = now()
WHERE route = %(route)s AND phase = %(phase)s AND state IN ('open', 'explained') AND last_seen < %(at)s;

-- name: finished
UPDATE ferry.verification
SET finished = clock_timestamp(), accounting = %(accounting)s, seconds = seconds + %(seconds)s,
    differences = (SELECT count(*) FROM ferry.difference
                   WHERE route = %(route)s AND phase = %(phase)s AND state = 'open' AND last_seen = %(at)s)
WHERE route = %(route)s AND phase = %(phase)s AND at = %(at)s
RETURNING rows_compared, differences, seconds;

-- name: forget_steps
-- Also those of runs that were broken off and will not be gone on with.
DELETE FROM ferry.verification_step WHERE route = %(route)s AND phase = %(phase)s;

-- name: latest
SELECT DISTINCT ON (phase) phase, at, extract(epoch FROM now() - at)::float / 3600 AS age_h, rows_compared, differences,
       seconds, accounting, files
FROM ferry.verification WHERE route = %(route)s AND finished IS NOT NULL ORDER BY phase, at DESC;

-- name: entries
SELECT phase, layer, target, key, column_name, kind, aggregate, expected, found, state, first_seen, last_seen, settled,
       explanation, who
FROM ferry.difference
WHERE route = %(route)s AND (%(phase)s::text IS NULL OR phase = %(phase)s) AND state = ANY(%(states)s)
  AND (%(target)s::text IS NULL OR target = %(target)s)
ORDER BY phase, layer, target, key, column_name LIMIT %(limit)s;

-- name: counts
SELECT phase, layer, target, kind, state, count(*), min(first_seen) FROM ferry.difference
WHERE route = %(route)s GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;

-- name: explain
UPDATE ferry.difference SET state = 'explained', explanation = %(why)s, who = %(who)s, settled = now()
WHERE route = %(route)s AND state IN ('open', 'explained') AND target = %(target)s
  AND (%(key)s::text IS NULL OR key = %(key)s) AND key <> %(no_key)s
RETURNING key;

-- name: repaired
-- Those of these rows that verification does not meet any more.
UPDATE ferry.difference d SET state = 'repaired', settled = now(), who = %(who)s
FROM unnest(%(layers)s::text[], %(targets)s::text[], %(keys)s::text[]) AS s (layer, target, key)
WHERE d.route = %(route)s AND d.phase = %(phase)s AND d.state = 'open'
  AND (d.layer, d.target, d.key) = (s.layer, s.target, s.key);

-- name: record_repair
INSERT INTO ferry.repair (route, phase, who, differences, repaired, remaining, seconds)
VALUES (%(route)s, %(phase)s, %(who)s, %(differences)s, %(repaired)s, %(remaining)s, %(seconds)s);

-- name: explainers
-- Who has explained what still differs, and how much.
SELECT who, count(*) FROM ferry.difference WHERE route = %(route)s AND state = 'explained' GROUP BY who ORDER BY who;
