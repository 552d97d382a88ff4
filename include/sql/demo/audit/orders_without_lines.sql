-- audit:  orders say what was ordered
-- owner:  Customer care
-- unit:   orders
-- better: lower
-- warn:   0.5 points worse
-- error:  2 points worse
-- phase:  orders
-- remedy: look at the order's history; without lines nothing can be sent or returned
SELECT 'all' AS segment,
       count(*) FILTER (WHERE NOT EXISTS (SELECT FROM shop.order_line l WHERE l.order_id = o.id)) AS bad, count(*) AS of
FROM shop.customer_order o;
