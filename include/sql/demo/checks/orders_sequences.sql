-- check:    once the shop is open, the sequences of orders, lines, events and invoices are ahead of every key in use
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   set the sequence named past the largest key: SELECT setval('<sequence>', <largest key>)
-- Old orders keep their ids; the cutover sets the sequences past them, so this holds once the new shop is open.
WITH used AS (
    SELECT 'shop.customer_order' AS target, 'shop.customer_order_id_seq' AS sequence, s.last_value + s.is_called::integer AS next,
           (SELECT max(id) FROM shop.customer_order) AS largest
    FROM shop.customer_order_id_seq s
    UNION ALL
    SELECT 'shop.order_line', 'shop.order_line_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.order_line)
    FROM shop.order_line_id_seq s
    UNION ALL
    SELECT 'shop.order_event', 'shop.order_event_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.order_event)
    FROM shop.order_event_id_seq s
    UNION ALL
    SELECT 'shop.order_invoice', 'shop.order_invoice_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.order_invoice)
    FROM shop.order_invoice_id_seq s
)
SELECT u.target, u.sequence AS key, format('next %s, largest key %s', u.next, u.largest) AS found
FROM used u
WHERE u.next <= u.largest
  AND EXISTS (SELECT FROM ferry.route r WHERE r.active = 'shop');
