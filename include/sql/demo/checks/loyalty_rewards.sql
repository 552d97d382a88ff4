-- check:    rewards that are owed are as many and as many points on both sides, by the year in which they were earned
-- severity: error
-- phase:    loyalty
-- target:   shop.loyalty_reward
-- remedy:   see which rewards differ (`shopferry verify loyalty`), merge them anew
-- Legacy's side: what is not in quarantine and not left out, and open by its letter; without one, what has not been taken.
WITH old AS (
    SELECT to_char(r.earned_at, 'YYYY') AS year, count(*) AS n, sum(abs(r.points::bigint)) AS points
    FROM legacy.loyalty_rewards r
    WHERE CASE WHEN btrim(r.state) <> '' THEN upper(r.state) = 'O' ELSE r.taken_at IS NULL END
      AND NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.loyalty_reward' AND q.row_key = r.id::text)
      AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.loyalty_reward' AND l.row_key = r.id::text)
    GROUP BY 1
), new AS (
    SELECT to_char(r.earned_at AT TIME ZONE 'Europe/Warsaw', 'YYYY') AS year, count(*) AS n, sum(r.points) AS points
    FROM shop.loyalty_reward r
    WHERE r.state = 'open'
    GROUP BY 1
)
SELECT coalesce(old.year, new.year, '?') AS key,
       format('legacy %s rewards, points %s; shop %s rewards, points %s', coalesce(old.n, 0), coalesce(old.points, 0),
              coalesce(new.n, 0), coalesce(new.points, 0)) AS found
FROM old
FULL JOIN new ON new.year = old.year
WHERE (old.n, old.points) IS DISTINCT FROM (new.n, new.points)
ORDER BY key;
