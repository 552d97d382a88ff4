-- audit:  customers have shown a sign of life within 24 months
-- owner:  Data protection
-- unit:   customers
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  orders
-- remedy: warn them and then erase, as the policy for inactive customers says
SELECT 'all' AS segment,
       count(*) FILTER (WHERE greatest(c.registered_at, c.last_seen_at, o.last_order) > now() - interval '24 months' IS NOT TRUE) AS bad,
       count(*) AS of
FROM shop.customer c
LEFT JOIN (SELECT customer_id, max(placed_at) AS last_order FROM shop.customer_order WHERE customer_id IS NOT NULL GROUP BY customer_id) o
       ON o.customer_id = c.id;
