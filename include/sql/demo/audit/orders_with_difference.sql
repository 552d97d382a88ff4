-- audit:  orders add up
-- owner:  Finance
-- unit:   orders
-- better: lower
-- warn:   0.5 points worse
-- error:  2 points worse
-- phase:  orders
-- remedy: compare total, lines and delivery of one of them; new orders must add up, old ones stay as they were
SELECT CASE WHEN placed_at > now() - interval '90 days' THEN 'of the last 90 days' ELSE 'older' END AS segment,
       count(*) FILTER (WHERE total_difference <> 0) AS bad, count(*) AS of
FROM shop.customer_order
GROUP BY 1;
