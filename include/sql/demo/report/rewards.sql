-- title: Rewards, by what became of them
-- phase: loyalty
-- about: A reward that is open is owed to its customer. Rewards of deleted customers are not carried.

-- name: legacy
-- Rewards of the old shop, by its letter.
SELECT CASE WHEN btrim(coalesce(r.state, '')) = '' THEN CASE WHEN r.taken_at IS NULL THEN 'open' ELSE 'taken' END
            ELSE CASE upper(r.state) WHEN 'O' THEN 'open' WHEN 'W' THEN 'taken' WHEN 'X' THEN 'expired' WHEN 'A' THEN 'cancelled'
                                     ELSE 'unknown state' END END AS segment,
       count(*) AS rewards, coalesce(sum(abs(r.points::bigint)), 0) AS points
FROM loyalty_rewards r
GROUP BY 1;

-- name: shop
-- Rewards of the new shop that came from there.
SELECT r.state::text AS segment, count(*) AS rewards, coalesce(sum(r.points), 0) AS points
FROM shop.loyalty_reward r
WHERE EXISTS (SELECT FROM legacy.loyalty_rewards m WHERE m.id = r.id)
GROUP BY 1;

-- name: held
-- Rewards in quarantine, or of deleted customers.
SELECT CASE WHEN btrim(coalesce(r.state, '')) = '' THEN CASE WHEN r.taken_at IS NULL THEN 'open' ELSE 'taken' END
            ELSE CASE upper(r.state) WHEN 'O' THEN 'open' WHEN 'W' THEN 'taken' WHEN 'X' THEN 'expired' WHEN 'A' THEN 'cancelled'
                                     ELSE 'unknown state' END END AS segment,
       count(*) AS rewards, coalesce(sum(abs(r.points::bigint)), 0) AS points
FROM legacy.loyalty_rewards r
JOIN (SELECT row_key FROM ferry.quarantine WHERE entity = 'shop.loyalty_reward'
      UNION SELECT row_key FROM ferry.left_out WHERE entity = 'shop.loyalty_reward') h ON h.row_key = r.id::text
GROUP BY 1;
