-- title: Loyalty accounts and points
-- phase: loyalty
-- about: Every customer keeps the points that were shown. Accounts of deleted customers are not carried.

-- name: legacy
-- Accounts and points of the old shop.
SELECT CASE upper(btrim(coalesce(l.tier, '')))
            WHEN '' THEN 'standard' WHEN 'STANDARD' THEN 'standard' WHEN 'BASIC' THEN 'standard' WHEN 'BRONZE' THEN 'standard'
            WHEN 'BRĄZOWY' THEN 'standard' WHEN 'SILVER' THEN 'silver' WHEN 'SREBRNY' THEN 'silver' WHEN 'GOLD' THEN 'gold'
            WHEN 'ZŁOTY' THEN 'gold' WHEN 'ZLOTY' THEN 'gold' WHEN 'PLATINUM' THEN 'platinum'
            WHEN 'PLATYNOWY' THEN 'platinum' WHEN 'VIP' THEN 'platinum' ELSE 'unknown level' END AS segment,
       count(*) AS accounts, coalesce(sum(l.points), 0) AS points
FROM loyalty_accounts l
GROUP BY 1;

-- name: shop
-- Accounts and points of the new shop that came from there.
SELECT l.tier::text AS segment, count(*) AS accounts, coalesce(sum(l.balance), 0) AS points
FROM shop.loyalty_account l
WHERE EXISTS (SELECT FROM legacy.loyalty_accounts m WHERE m.id = l.id)
GROUP BY 1;

-- name: held
-- Accounts in quarantine, or of deleted customers.
SELECT CASE upper(btrim(coalesce(l.tier, '')))
            WHEN '' THEN 'standard' WHEN 'STANDARD' THEN 'standard' WHEN 'BASIC' THEN 'standard' WHEN 'BRONZE' THEN 'standard'
            WHEN 'BRĄZOWY' THEN 'standard' WHEN 'SILVER' THEN 'silver' WHEN 'SREBRNY' THEN 'silver' WHEN 'GOLD' THEN 'gold'
            WHEN 'ZŁOTY' THEN 'gold' WHEN 'ZLOTY' THEN 'gold' WHEN 'PLATINUM' THEN 'platinum'
            WHEN 'PLATYNOWY' THEN 'platinum' WHEN 'VIP' THEN 'platinum' ELSE 'unknown level' END AS segment,
       count(*) AS accounts, coalesce(sum(l.points), 0) AS points
FROM legacy.loyalty_accounts l
JOIN (SELECT row_key FROM ferry.quarantine WHERE entity = 'shop.loyalty_account'
      UNION SELECT row_key FROM ferry.left_out WHERE entity = 'shop.loyalty_account') h ON h.row_key = l.id::text
GROUP BY 1;
