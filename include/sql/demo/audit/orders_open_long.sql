-- audit:  orders do not stay open for more than 60 days
-- owner:  Customer care
-- unit:   orders
-- better: lower
-- warn:   0.5 points worse
-- error:  2 points worse
-- phase:  orders
-- remedy: deliver, cancel or refund them; who waits is still owed an answer
SELECT 'all' AS segment,
       count(*) FILTER (WHERE status IN ('pending', 'paid', 'processing') AND placed_at < now() - interval '60 days') AS bad,
       count(*) AS of
FROM shop.customer_order;
