-- name: find
-- Pairs of an identity, the most alike first; by any of rule, state, lowest score and members.
SELECT p.a, p.b, p.score, p.features, p.rule, p.state, p.who, p.at, p.why
FROM ferry.pair p
WHERE p.route = %(route)s AND p.entity = %(entity)s
  AND (%(rule)s::text IS NULL OR p.rule = %(rule)s)
  AND (%(state)s::text IS NULL OR p.state = %(state)s)
  AND p.score >= %(above)s
ORDER BY p.score DESC, p.a, p.b LIMIT %(limit)s;

-- name: sample
-- So many undecided pairs of a rule, drawn by chance.
SELECT p.a, p.b, p.score, p.features, p.rule, p.state, p.who, p.at, p.why
FROM ferry.pair p
WHERE p.route = %(route)s AND p.entity = %(entity)s AND p.rule = %(rule)s AND p.state = 'new' AND p.score >= %(above)s
ORDER BY random() LIMIT %(limit)s;

-- name: one
-- One pair, locked.
SELECT p.a, p.b, p.score, p.features, p.rule, p.state, p.who, p.at, p.why
FROM ferry.pair p
WHERE p.route = %(route)s AND p.entity = %(entity)s AND p.a = %(a)s AND p.b = %(b)s FOR UPDATE;

-- name: among
-- The decided pairs between any of these keys.
SELECT p.a, p.b, p.score, p.features, p.rule, p.state, p.who, p.at, p.why
FROM ferry.pair p
WHERE p.route = %(route)s AND p.entity = %(entity)s AND p.state IN ('same', 'different')
  AND p.a = ANY(%(keys)s) AND p.b = ANY(%(keys)s)
ORDER BY p.a, p.b;

-- name: count
-- Pairs by rule and state, and how many of them are at least so much alike.
SELECT p.rule, p.state, count(*) AS pairs, count(*) FILTER (WHERE p.score >= %(sure)s) AS sure
FROM ferry.pair p WHERE p.route = %(route)s AND p.entity = %(entity)s
GROUP BY p.rule, p.state ORDER BY p.rule, p.state;

-- name: add
-- A pair that no rule has found.
INSERT INTO ferry.pair (route, entity, a, b, score, features, rule)
VALUES (%(route)s, %(entity)s, %(a)s, %(b)s, %(score)s, %(features)s, %(rule)s);

-- name: set
-- What is decided of these pairs, or taken back. They are noted as changed rows. Yields how many.
WITH old AS (
    SELECT p.* FROM ferry.pair p
    JOIN unnest(%(ones)s::bigint[], %(others)s::bigint[]) AS g (a, b) ON g.a = p.a AND g.b = p.b
    WHERE p.route = %(route)s AND p.entity = %(entity)s
), decided AS (
    UPDATE ferry.pair p SET state = %(state)s, who = %(who)s, at = clock_timestamp(), why = %(why)s
    FROM old o WHERE p.route = o.route AND p.entity = o.entity AND p.a = o.a AND p.b = o.b
    RETURNING p.*
), noted AS (
    INSERT INTO {changed} SELECT d.*, NULL::text[] FROM decided d RETURNING 1
)
SELECT count(*) FROM noted;

-- name: forget
-- Pairs of these keys go, and are noted as changed rows. Yields how many.
WITH gone AS (
    DELETE FROM ferry.pair p
    WHERE p.route = %(route)s AND p.entity = %(entity)s AND (p.a = ANY(%(keys)s) OR p.b = ANY(%(keys)s)) RETURNING p.*
), noted AS (
    INSERT INTO {changed} SELECT g.*, NULL::text[] FROM gone g RETURNING 1
)
SELECT count(*) FROM noted;

-- name: of_keys
-- The pairs of these keys.
SELECT p.a, p.b, p.score, p.features, p.rule, p.state, p.who, p.at, p.why
FROM ferry.pair p
WHERE p.route = %(route)s AND p.entity = %(entity)s AND (p.a = ANY(%(keys)s) OR p.b = ANY(%(keys)s))
ORDER BY p.a, p.b;

-- name: refresh_lost
-- What is undecided and was not found again goes.
DELETE FROM ferry.pair p
WHERE p.route = %(route)s AND p.entity = %(entity)s AND p.state = 'new' AND p.rule <> %(by_hand)s
  AND NOT EXISTS (SELECT FROM pg_temp.pair_scored s WHERE s.a = p.a AND s.b = p.b);

-- name: refresh_found
-- What was found; of pairs that are decided the score stays that of the decision.
INSERT INTO ferry.pair AS p (route, entity, a, b, score, features, rule)
SELECT %(route)s, %(entity)s, s.a, s.b, s.score, s.features, s.rule FROM pg_temp.pair_scored s
ON CONFLICT (a, b, entity, route) DO UPDATE SET score = excluded.score, features = excluded.features, rule = excluded.rule
WHERE p.state IN ('new', 'later')
  AND (p.score, p.features, p.rule) IS DISTINCT FROM (excluded.score, excluded.features, excluded.rule);

-- name: searched
-- Book that pairs were looked for.
INSERT INTO ferry.pair_search AS s (route, at, who, seconds, compared, kept, passed)
VALUES (%(route)s, clock_timestamp(), %(who)s, %(seconds)s, %(compared)s, %(kept)s, %(passed)s)
ON CONFLICT (route) DO UPDATE SET at = excluded.at, who = excluded.who, seconds = excluded.seconds, compared = excluded.compared,
    kept = excluded.kept, passed = excluded.passed;

-- name: search
SELECT at, who, seconds, compared, kept, passed FROM ferry.pair_search WHERE route = %(route)s;

-- name: sampled
-- When somebody was shown a sample last, under this name.
SELECT max(at) FROM ferry.looked WHERE who = %(who)s AND verb = %(verb)s AND relation = %(relation)s;

-- name: persons
-- All keys that are one row with any of these, and their shop keys.
SELECT m.legacy_key, m.shop_key
FROM ferry.identity m
WHERE m.entity = %(entity)s AND m.shop_key IN (
    SELECT i.shop_key FROM ferry.identity i WHERE i.entity = %(entity)s AND i.legacy_key = ANY(%(keys)s))
ORDER BY m.legacy_key;
