-- check:    no card or reward without its customer; no entry or redemption without its card; none of them with an order that is none
-- severity: error
-- phase:    loyalty
-- target:   shop.loyalty_account
-- remedy:   merge the customer, card or order named anew; a row that then remains belongs to nobody and is deleted
-- The shop's foreign keys say so too, unless somebody has loaded rows with triggers off.
SELECT 'shop.loyalty_account' AS target, l.id::text AS key, 'customer ' || l.customer_id || ' is missing' AS found
FROM shop.loyalty_account l
WHERE NOT EXISTS (SELECT FROM shop.customer c WHERE c.id = l.customer_id)
UNION ALL
SELECT 'shop.loyalty_reward', r.id::text,
       CASE WHEN c.id IS NULL THEN 'customer ' || r.customer_id || ' is missing' ELSE 'order ' || r.order_id || ' is missing' END
FROM shop.loyalty_reward r
LEFT JOIN shop.customer c ON c.id = r.customer_id
LEFT JOIN shop.customer_order o ON o.id = r.order_id
WHERE c.id IS NULL OR (r.order_id IS NOT NULL AND o.id IS NULL)
UNION ALL
SELECT x.target, x.key,
       CASE WHEN l.id IS NULL THEN 'account ' || x.account_id || ' is missing' ELSE 'order ' || x.order_id || ' is missing' END
FROM (SELECT 'shop.loyalty_entry' AS target, coalesce(source_key, id::text) AS key, account_id, order_id FROM shop.loyalty_entry
      UNION ALL
      SELECT 'shop.loyalty_redemption', id::text, account_id, order_id FROM shop.loyalty_redemption) x
LEFT JOIN shop.loyalty_account l ON l.id = x.account_id
LEFT JOIN shop.customer_order o ON o.id = x.order_id
WHERE l.id IS NULL OR (x.order_id IS NOT NULL AND o.id IS NULL);
