-- finding: orders whose number was given to another order as well
-- subject: legacy orders.number
-- severity: note
-- consequence: they arrive; whoever looks an order up by number finds several
-- remedy: nothing, if support knows
SELECT min(o.id)::text || '…' AS key, o.number AS example, count(*) AS rows
FROM orders o
WHERE btrim(o.number) <> ''
GROUP BY o.number
HAVING count(*) > 1
ORDER BY count(*) DESC, min(o.id);
