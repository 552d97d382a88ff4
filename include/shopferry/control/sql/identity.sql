-- Every query but the last works on temp tables: affected(key) holds legacy keys, wanted(legacy_key, cluster) what the mapping yields
-- (with shop_key where it says which keys they get),
-- changed(legacy_key, shop_key, cluster, shop_id) what moved, as it was before and as it is after.

-- name: lock
-- No other session may join or leave these clusters until we commit. Buckets keep the lock table small; sorted against deadlock.
SELECT pg_advisory_xact_lock(hashtext('cluster ' || {entity}), bucket)
FROM (SELECT DISTINCT hashtext(cluster) & 1023 AS bucket
      FROM (SELECT cluster FROM {wanted}
            UNION SELECT i.cluster FROM ferry.identity i JOIN {affected} a ON a.key = i.legacy_key
                  WHERE i.entity = {entity}) c
      ORDER BY 1) b;

-- name: before
-- Only what will really change: rows that leave, and rows whose cluster becomes another.
INSERT INTO {changed} (legacy_key, shop_key, cluster, shop_id)
SELECT i.legacy_key, i.shop_key, i.cluster, i.shop_id
FROM ferry.identity i
JOIN {affected} a ON a.key = i.legacy_key
LEFT JOIN {wanted} w ON w.legacy_key = i.legacy_key
WHERE i.entity = {entity} AND w.cluster IS DISTINCT FROM i.cluster;

-- name: leave
DELETE FROM ferry.identity i USING {affected} a
WHERE i.entity = {entity} AND i.legacy_key = a.key
  AND NOT EXISTS (SELECT FROM {wanted} w WHERE w.legacy_key = a.key);

-- name: join
-- A cluster keeps its shop key while a member stays; a key that nobody stays with goes along with the member that
-- leaves; all others get a new one: {number} says which, of `first`, the cluster's first legacy key. {text} makes the text
-- that the target has for a key of `shop_key`; a key that has one keeps it.
WITH moved AS MATERIALIZED (
    SELECT w.legacy_key, w.cluster, i.shop_key AS old
    FROM {wanted} w
    LEFT JOIN ferry.identity i ON i.entity = {entity} AND i.legacy_key = w.legacy_key
    WHERE i.cluster IS DISTINCT FROM w.cluster
), clusters AS MATERIALIZED (
    SELECT cluster, min(legacy_key) AS first FROM moved GROUP BY cluster
), stays AS MATERIALIZED (
    SELECT i.cluster, min(i.shop_key) AS shop_key
    FROM clusters c JOIN ferry.identity i ON i.cluster = c.cluster
    WHERE i.entity = {entity} AND NOT EXISTS (SELECT FROM moved m WHERE m.legacy_key = i.legacy_key)
    GROUP BY i.cluster
), free AS (
    SELECT DISTINCT ON (m.old) m.old AS shop_key, m.cluster
    FROM moved m
    WHERE m.old IS NOT NULL
      AND NOT EXISTS (SELECT FROM stays s WHERE s.cluster = m.cluster)
      AND NOT EXISTS (SELECT FROM ferry.identity i
                      WHERE i.entity = {entity} AND i.shop_key = m.old
                        AND NOT EXISTS (SELECT FROM moved o WHERE o.legacy_key = i.legacy_key))
    ORDER BY m.old, m.legacy_key
), taken_along AS (
    SELECT cluster, min(shop_key) AS shop_key FROM free GROUP BY cluster
), assigned AS MATERIALIZED (
    SELECT c.cluster, coalesce(s.shop_key, t.shop_key, {number}) AS shop_key
    FROM (SELECT cluster, first FROM clusters ORDER BY first) c
    LEFT JOIN stays s USING (cluster) LEFT JOIN taken_along t USING (cluster)
), named AS MATERIALIZED (
    SELECT cluster, shop_key, {text} AS shop_id FROM assigned
), joined AS (
    INSERT INTO ferry.identity AS i (entity, legacy_key, shop_key, cluster, shop_id)
    SELECT {entity}, m.legacy_key, a.shop_key, m.cluster, a.shop_id
    FROM moved m JOIN named a USING (cluster)
    ON CONFLICT (entity, legacy_key) DO UPDATE
    SET shop_key = excluded.shop_key, cluster = excluded.cluster, shop_id = excluded.shop_id
    RETURNING i.legacy_key, i.shop_key, i.cluster, i.shop_id
)
INSERT INTO {changed} (legacy_key, shop_key, cluster, shop_id) SELECT legacy_key, shop_key, cluster, shop_id FROM joined;

-- name: differing
-- Where the mapping yields the keys, too: as `before`.
INSERT INTO {changed} (legacy_key, shop_key, cluster, shop_id)
SELECT i.legacy_key, i.shop_key, i.cluster, i.shop_id
FROM ferry.identity i
JOIN {affected} a ON a.key = i.legacy_key
LEFT JOIN {wanted} w ON w.legacy_key = i.legacy_key
WHERE i.entity = {entity} AND (w.cluster IS DISTINCT FROM i.cluster OR w.shop_key IS DISTINCT FROM i.shop_key);

-- name: take
-- Each row gets the shop key that the mapping yields.
WITH taken AS (
    INSERT INTO ferry.identity AS i (entity, legacy_key, shop_key, cluster)
    SELECT {entity}, w.legacy_key, w.shop_key, w.cluster
    FROM {wanted} w
    LEFT JOIN ferry.identity s ON s.entity = {entity} AND s.legacy_key = w.legacy_key
    WHERE s.cluster IS DISTINCT FROM w.cluster OR s.shop_key IS DISTINCT FROM w.shop_key
    ON CONFLICT (entity, legacy_key) DO UPDATE SET shop_key = excluded.shop_key, cluster = excluded.cluster
    RETURNING i.legacy_key, i.shop_key, i.cluster, i.shop_id
)
INSERT INTO {changed} (legacy_key, shop_key, cluster, shop_id) SELECT legacy_key, shop_key, cluster, shop_id FROM taken;

-- name: collide
-- Refuse two keys of one text, and two clusters of one key: one row of the shop would be two persons or two orders.
SELECT ferry.refuse_keys({entity}, min(i.shop_key), max(i.shop_key))
FROM ferry.identity i
WHERE i.entity = {entity} AND i.shop_id IN (SELECT c.shop_id FROM {changed} c)
GROUP BY i.shop_id HAVING min(i.shop_key) <> max(i.shop_key)
UNION ALL
SELECT ferry.refuse_keys({entity}, min(i.legacy_key), max(i.legacy_key))
FROM ferry.identity i
WHERE i.entity = {entity} AND i.shop_key IN (SELECT c.shop_key FROM {changed} c)
GROUP BY i.shop_key HAVING min(i.cluster) <> max(i.cluster);

-- name: left
-- Whether a legacy row stood under a shop key that it has no more.
SELECT EXISTS (SELECT FROM {changed} c
               WHERE NOT EXISTS (SELECT FROM ferry.identity i
                                 WHERE i.entity = {entity} AND i.legacy_key = c.legacy_key AND i.shop_key = c.shop_key));

-- name: find
-- The shop key of one legacy row.
SELECT shop_key FROM ferry.identity WHERE entity = %(entity)s AND legacy_key = %(legacy_key)s;
