-- finding: orders of guests whose e-mail is that of an account
-- subject: legacy orders.email
-- severity: note
-- consequence: they become orders of that account where name or phone agree; the others stay a guest's (guest_unproven)
-- remedy: nothing, or give an order to its account in legacy
SELECT o.id::text AS key, o.email AS example
FROM orders o
WHERE coalesce(o.customer_id, 0) <= 0
  AND EXISTS (SELECT FROM customers c WHERE lower(btrim(c.email)) = lower(btrim(o.email)))
ORDER BY o.id;
