-- campaign: A password must be set before the next sign-in
-- owner: Customer care
-- purpose: marketing
-- The contract owes this mail: it says how to get in, and nothing else.
SELECT c.id AS customer_id, 'no password came along' AS why, 'order_mail' AS may_ask_by
FROM shop.customer c
WHERE c.status = 'active'
  AND NOT EXISTS (SELECT FROM shop.customer_credential k WHERE k.customer_id = c.id);
