-- check:    every payment is over its order's total, in its currency, and every delivery costs what the order says
-- severity: error
-- phase:    orders
-- target:   shop.payment
-- remedy:   merge the order named anew
SELECT 'shop.payment' AS target, p.order_id::text AS key,
       format('order %s %s, payment %s %s', o.total, o.currency, p.amount, p.currency) AS found
FROM shop.payment p
JOIN shop.customer_order o ON o.id = p.order_id
WHERE (p.amount, p.currency) <> (o.total, o.currency)
UNION ALL
SELECT 'shop.delivery', d.order_id::text,
       format('order %s %s, delivery %s %s', o.delivery_cost, o.currency, d.cost, d.currency)
FROM shop.delivery d
JOIN shop.customer_order o ON o.id = d.order_id
WHERE (d.cost, d.currency) <> (o.delivery_cost, o.currency);
