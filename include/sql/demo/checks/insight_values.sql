-- check:    profiles add up to the orders, by currency, as of the day that the clock shows
-- severity: error
-- phase:    insight
-- target:   shop.customer_profile
-- remedy:   `shopferry insight tick`, then merge the customers of that currency anew
WITH counted AS (
    SELECT v.key AS currency, sum(v.value::numeric) AS total
    FROM shop.customer_profile p CROSS JOIN LATERAL jsonb_each_text(p.value_by_currency) v
    GROUP BY v.key
), ordered AS (
    SELECT o.currency, sum(o.total) AS total
    FROM shop.customer_order o
    WHERE o.customer_id IS NOT NULL AND o.status::text NOT IN ('cancelled', 'returned', 'refunded')
      AND (o.placed_at AT TIME ZONE 'Europe/Warsaw')::date <= (SELECT as_of FROM ferry.clock)
    GROUP BY o.currency
)
SELECT coalesce(c.currency, o.currency) AS key, concat('profiles ', c.total, ', orders ', o.total) AS found
FROM counted c
FULL JOIN ordered o ON o.currency = c.currency
WHERE c.total IS DISTINCT FROM o.total AND NOT EXISTS (SELECT FROM ferry.route r WHERE r.active = 'shop');
