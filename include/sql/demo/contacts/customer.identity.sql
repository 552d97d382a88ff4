-- identity: customer
-- source: identity.account(legacy_key), identity.account, ferry.pair
-- Who is one person: accounts with one address (account.identity.sql), and what people have decided to be the same beyond it.
-- A decision is an edge between two accounts, and all that edges lead to is one person. Its number is the one that its first
-- account would have without decisions, and each account keeps its own in `account`: so without the edge all is as if it had
-- never been. Where a person so joined holds two accounts that are decided to be different, the edges of this person
-- count for nothing until somebody takes one back. An account that cannot be carried joins nobody.
WITH RECURSIVE reach(start, node) AS (
    SELECT DISTINCT i.shop_key, i.shop_key
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = a.key
    WHERE EXISTS (
        SELECT FROM ferry.identity m
        CROSS JOIN LATERAL (
            SELECT FROM ferry.pair p WHERE p.a = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
            UNION ALL
            SELECT FROM ferry.pair p WHERE p.b = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
        ) e
        WHERE m.entity = 'account' AND m.shop_key = i.shop_key)
    UNION
    SELECT r.start, n.shop_key
    FROM reach r
    JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
    CROSS JOIN LATERAL (
        SELECT p.b AS other FROM ferry.pair p WHERE p.a = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
        UNION ALL
        SELECT p.a FROM ferry.pair p WHERE p.b = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
    ) e
    JOIN ferry.identity n ON n.entity = 'account' AND n.legacy_key = e.other
    WHERE m.cluster NOT LIKE ALL ('{#% deleted,#% inactive,#% unusable,#% missing}')
      AND n.cluster NOT LIKE ALL ('{#% deleted,#% inactive,#% unusable,#% missing}')
), walled AS (
    SELECT DISTINCT r.start
    FROM reach r
    JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
    JOIN ferry.pair p ON p.a = m.legacy_key AND p.entity = 'customer' AND p.state = 'different'
    JOIN ferry.identity n ON n.entity = 'account' AND n.legacy_key = p.b AND n.shop_key <> m.shop_key
    JOIN reach q ON q.start = r.start AND q.node = n.shop_key
), lead AS (
    SELECT DISTINCT ON (r.start) r.start, m.shop_key, m.cluster
    FROM reach r
    JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
    WHERE NOT EXISTS (SELECT FROM walled w WHERE w.start = r.start)
    ORDER BY r.start, m.cluster LIKE '#%', m.legacy_key
)
SELECT a.key AS legacy_key,
       coalesce(l.cluster, i.cluster) AS cluster,
       coalesce(l.shop_key, i.shop_key) AS shop_key
FROM affected a
JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = a.key
LEFT JOIN lead l ON l.start = i.shop_key;

-- lineage: identity.account
SELECT x.key FROM (
    WITH RECURSIVE reach(node) AS (
        (SELECT c.shop_key FROM changed c
         UNION
         SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = c.legacy_key
         UNION
         SELECT i.shop_key
         FROM changed c
         CROSS JOIN LATERAL (
             SELECT p.b AS other FROM ferry.pair p WHERE p.a = c.legacy_key AND p.entity = 'customer'
             UNION ALL
             SELECT p.a FROM ferry.pair p WHERE p.b = c.legacy_key AND p.entity = 'customer'
         ) e
         JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = e.other)
        UNION
        SELECT n.shop_key
        FROM reach r
        JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
        CROSS JOIN LATERAL (
            SELECT p.b AS other FROM ferry.pair p WHERE p.a = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
            UNION ALL
            SELECT p.a FROM ferry.pair p WHERE p.b = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
        ) e
        JOIN ferry.identity n ON n.entity = 'account' AND n.legacy_key = e.other
    )
    SELECT m.legacy_key AS key FROM reach r JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
) x;

-- lineage: ferry.pair
SELECT x.key FROM (
    WITH RECURSIVE reach(node) AS (
        SELECT i.shop_key
        FROM changed c
        CROSS JOIN LATERAL (VALUES (c.a), (c.b)) k (key)
        JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = k.key
        UNION
        SELECT n.shop_key
        FROM reach r
        JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
        CROSS JOIN LATERAL (
            SELECT p.b AS other FROM ferry.pair p WHERE p.a = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
            UNION ALL
            SELECT p.a FROM ferry.pair p WHERE p.b = m.legacy_key AND p.entity = 'customer' AND p.state = 'same'
        ) e
        JOIN ferry.identity n ON n.entity = 'account' AND n.legacy_key = e.other
    )
    SELECT m.legacy_key AS key FROM reach r JOIN ferry.identity m ON m.entity = 'account' AND m.shop_key = r.node
) x;
