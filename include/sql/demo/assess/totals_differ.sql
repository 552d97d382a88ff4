-- finding: orders whose total is not the sum of lines and delivery
-- subject: legacy orders.total
-- severity: warning
-- consequence: the total arrives as the customer saw it, and the difference stands beside it (total_difference)
-- remedy: know why: a discount, a tax or a fee that is in no line. History is not recomputed
SELECT o.id::text AS key, (o.total - coalesce(o.delivery_cost, 0) - l.total)::text AS example
FROM orders o
CROSS JOIN LATERAL (SELECT coalesce(sum(coalesce(t.line_total, t.quantity * t.unit_price)), 0) AS total
                    FROM order_items t WHERE t.order_id = o.id) l
WHERE abs(o.total - coalesce(o.delivery_cost, 0) - l.total) >= 0.005
ORDER BY o.id;
