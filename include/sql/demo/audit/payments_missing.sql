-- audit:  orders that were sent have been paid
-- owner:  Finance
-- unit:   orders sent or delivered
-- better: lower
-- warn:   0.5 points worse
-- error:  2 points worse
-- phase:  orders
-- remedy: look for the payment at its provider
SELECT 'all' AS segment, count(*) FILTER (WHERE p.state IS DISTINCT FROM 'paid') AS bad, count(*) AS of
FROM shop.customer_order o
LEFT JOIN shop.payment p ON p.order_id = o.id
WHERE o.status IN ('shipped', 'delivered');
