-- entity: shop.order_line_withheld
-- key:    id
-- scope:  order_id
-- source: legacy.order_items(order_id), shop.customer_order(id), shop.order_line(order_id)
-- Marks an order that is here without one of its lines, so that it adds up in the new shop alone. The line itself waits in
-- quarantine; once it is let in, its mark goes.
SELECT t.id,
       t.order_id,
       nullif(round(coalesce(t.line_total, t.quantity * t.unit_price), 2), 'NaN') AS total,
       co.currency,
       ARRAY[]::text[] AS problems
FROM affected a
JOIN legacy.order_items t ON t.order_id = a.key
JOIN shop.customer_order co ON co.id = t.order_id
LEFT JOIN shop.order_line l ON l.id = t.id
WHERE l.id IS NULL;
