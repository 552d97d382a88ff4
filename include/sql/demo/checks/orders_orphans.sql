-- check:    no order without its customer; no line, event, invoice, payment or delivery without its order
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   merge the customer or order named anew; a row that then remains belongs to nobody and is deleted
-- The shop's foreign keys say so too, unless somebody has loaded rows with triggers off.
SELECT 'shop.customer_order' AS target, o.id::text AS key, 'customer ' || o.customer_id || ' is missing' AS found
FROM shop.customer_order o
WHERE o.customer_id IS NOT NULL AND NOT EXISTS (SELECT FROM shop.customer c WHERE c.id = o.customer_id)
UNION ALL
SELECT x.target, x.key, 'order ' || x.order_id || ' is missing'
FROM (SELECT 'shop.order_line' AS target, id::text AS key, order_id FROM shop.order_line
      UNION ALL
      SELECT 'shop.order_event', id::text, order_id FROM shop.order_event
      UNION ALL
      SELECT 'shop.order_invoice', id::text, order_id FROM shop.order_invoice
      UNION ALL
      SELECT 'shop.payment', order_id::text, order_id FROM shop.payment
      UNION ALL
      SELECT 'shop.delivery', order_id::text, order_id FROM shop.delivery) x
WHERE NOT EXISTS (SELECT FROM shop.customer_order o WHERE o.id = x.order_id);
