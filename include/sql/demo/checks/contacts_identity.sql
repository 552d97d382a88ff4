-- check:    every customer has a route to its legacy accounts, and every usable account one to its customer
-- severity: error
-- phase:    contacts
-- target:   shop.customer
-- remedy:   merge the accounts named anew (`shopferry repair`); orders, consents and points follow them
-- Customers who signed up in the new shop itself have no legacy account and need no route.
SELECT 'shop.customer' AS target, c.id::text AS key,
       CASE WHEN c.legacy_customer_id IS NULL THEN 'an identity leads here, but no account leads'
            ELSE 'no identity leads from its account to it' END AS found
FROM shop.customer c
WHERE CASE WHEN c.legacy_customer_id IS NULL
           THEN EXISTS (SELECT FROM ferry.identity i WHERE i.entity = 'customer' AND i.shop_key = c.id)
           ELSE NOT EXISTS (SELECT FROM ferry.identity i WHERE i.entity = 'customer' AND i.shop_key = c.id
                                                           AND i.legacy_key = c.legacy_customer_id) END
UNION ALL
SELECT 'legacy.customers', a.id::text, CASE WHEN i.legacy_key IS NULL THEN 'no identity' ELSE 'its identity leads to nobody' END
FROM legacy.customers a
LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = a.id
LEFT JOIN shop.customer c ON c.id = i.shop_key
WHERE c.id IS NULL
  AND NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.customer' AND q.row_key = a.id::text)
  AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.customer' AND l.row_key = a.id::text
                                                 AND l.reason IN ('soft_deleted', 'inactive_by_policy'));
