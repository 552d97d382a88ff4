-- check:    every order's lines, delivery and stated difference add up to its total
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   merge the order named anew
-- A line that is in quarantine still is part of what was charged, unless its price is no number.
WITH lines AS (
    SELECT t.order_id, t.total FROM shop.order_line t
    UNION ALL
    SELECT t.order_id, nullif(round(coalesce(t.line_total, t.quantity * t.unit_price), 2), 'NaN')
    FROM ferry.quarantine q
    JOIN legacy.order_items t ON t.id::text = q.row_key
    WHERE q.entity = 'shop.order_line'
), summed AS (
    SELECT order_id, sum(total) AS total FROM lines GROUP BY order_id
)
SELECT o.id::text AS key,
       format('total %s, lines %s, delivery %s, difference %s', o.total, coalesce(s.total, 0), o.delivery_cost,
              o.total_difference) AS found
FROM shop.customer_order o
LEFT JOIN summed s ON s.order_id = o.id
WHERE o.total <> coalesce(s.total, 0) + o.delivery_cost + o.total_difference;
