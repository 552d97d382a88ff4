-- audit:  balances are the sums of their entries
-- owner:  Loyalty
-- unit:   loyalty accounts
-- better: lower
-- warn:   0 %
-- error:  0.5 %
-- phase:  loyalty
-- remedy: find who writes a balance without an entry; book the difference as an adjustment with its reason
SELECT a.tier::text AS segment, count(*) FILTER (WHERE a.balance <> coalesce(e.points, 0)) AS bad, count(*) AS of
FROM shop.loyalty_account a
LEFT JOIN (SELECT account_id, sum(points) AS points FROM shop.loyalty_entry GROUP BY account_id) e ON e.account_id = a.id
GROUP BY a.tier;
