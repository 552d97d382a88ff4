-- finding: notes that seem to hold a card number
-- subject: legacy orders.note, order_status_log.note
-- severity: warning
-- consequence: they would be carried into the new shop, where nobody expects them
-- remedy: remove them in legacy now: they should not have been there either
SELECT n.what || ' ' || n.id AS key, '' AS example
FROM (SELECT 'orders', id, note FROM orders
      UNION ALL SELECT 'order_status_log', id, note FROM order_status_log) AS n (what, id, note)
WHERE n.note ~ '(^|\D)([0-9][ -]?){15}[0-9](\D|$)'
ORDER BY n.what, n.id;
