-- campaign: Contact data that is incomplete, or was lost on the way
-- owner: Customer care
-- purpose: marketing
-- "Are your details correct?" is marketing where nothing is owed: an order that is under way is owed, and so is its mail.
SELECT c.id AS customer_id,
       CASE WHEN c.family_name IS NULL THEN 'name missing'
            WHEN c.phone IS NULL THEN 'phone missing'
            ELSE 'no address to send to' END AS why,
       CASE WHEN EXISTS (SELECT FROM shop.customer_order o
                         WHERE o.customer_id = c.id AND o.status IN ('pending', 'paid', 'processing', 'shipped')) THEN 'order_mail'
            ELSE 'email' END AS may_ask_by
FROM shop.customer c
WHERE c.status = 'active'
  AND (c.family_name IS NULL OR c.phone IS NULL
       OR NOT EXISTS (SELECT FROM shop.customer_address a WHERE a.customer_id = c.id AND a.street IS NOT NULL AND a.city IS NOT NULL));
