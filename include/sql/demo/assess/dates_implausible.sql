-- finding: times before 1995 or from 2035 on
-- subject: legacy times
-- severity: warning
-- consequence: of customers and addresses they are dropped and noted; orders, events, invoices, points and rewards go to quarantine
-- remedy: correct them in legacy, where somebody knows better
SELECT t.what || ' ' || t.id AS key, t.at::date::text AS example
FROM (SELECT 'customers', id, created_at FROM customers
      UNION ALL SELECT 'customers', id, last_login FROM customers
      UNION ALL SELECT 'addresses', id, created_at FROM addresses
      UNION ALL SELECT 'consents', id, granted_at FROM consents
      UNION ALL SELECT 'orders', id, created_at FROM orders
      UNION ALL SELECT 'order_status_log', id, changed_at FROM order_status_log
      UNION ALL SELECT 'order_invoices', id, issued_at FROM order_invoices
      UNION ALL SELECT 'loyalty_log', id, created_at FROM loyalty_log
      UNION ALL SELECT 'loyalty_redemptions', id, created_at FROM loyalty_redemptions
      UNION ALL SELECT 'loyalty_rewards', id, earned_at FROM loyalty_rewards
      UNION ALL SELECT 'loyalty_rewards', id, taken_at FROM loyalty_rewards) AS t (what, id, at)
WHERE t.at < '1995-01-01' OR t.at >= '2035-01-01'
ORDER BY t.what, t.id;
