-- entity: shop.order_event
-- key:    id
-- scope:  order_id
-- source: legacy.order_status_log(order_id), legacy.orders(id), shop.customer_order(id)
-- counts: legacy.order_status_log(id) as id
-- standardize: text legacy.order_status_log (note)
-- The status history, with the same codes as the orders themselves; of a customer who has left, without what was written there.
WITH status(code, status) AS (VALUES
    ('NEW', 'pending'), ('1', 'pending'), ('N', 'pending'), ('PAID', 'paid'), ('2', 'paid'), ('P', 'paid'),
    ('PROC', 'processing'), ('3', 'processing'), ('SENT', 'shipped'), ('4', 'shipped'), ('S', 'shipped'),
    ('DONE', 'delivered'), ('5', 'delivered'), ('D', 'delivered'), ('CANC', 'cancelled'), ('6', 'cancelled'),
    ('C', 'cancelled'), ('RET', 'returned'), ('7', 'returned'), ('REFUND', 'refunded'), ('8', 'refunded'),
    ('PENDING', 'pending'), ('CREATED', 'pending'), ('APPROVED', 'paid'), ('INVOICED', 'paid'), ('PROCESSING', 'processing'),
    ('SHIPPED', 'shipped'), ('DELIVERED', 'delivered'), ('COMPLETED', 'delivered'), ('CANCELED', 'cancelled'),
    ('CANCELLED', 'cancelled'), ('RETURNED', 'returned'), ('REFUNDED', 'refunded')
)
SELECT t.id,
       t.order_id,
       s.status::shop.order_status AS status,
       t.changed_at AT TIME ZONE 'Europe/Warsaw' AS happened_at,
       CASE WHEN x.emptied THEN NULL ELSE nullif(btrim(t.changed_by), '') END AS actor,
       CASE WHEN x.emptied THEN NULL ELSE n.value END AS note,
       array_remove(ARRAY[
           CASE WHEN o.id IS NULL THEN 'order_missing' WHEN co.id IS NULL THEN 'order_quarantined' END,
           CASE WHEN s.status IS NULL THEN 'status_unknown' END,
           CASE WHEN t.changed_at IS NULL THEN 'date_missing'
                WHEN t.changed_at < '1995-01-01' THEN 'date_implausible'
                WHEN t.changed_at >= '2035-01-01' THEN 'date_in_future' END
       ], NULL) AS problems
FROM affected a
JOIN legacy.order_status_log t ON t.order_id = a.key
LEFT JOIN legacy.orders o ON o.id = t.order_id
LEFT JOIN shop.customer_order co ON co.id = t.order_id
LEFT JOIN status s ON s.code = upper(btrim(t.status_code))
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = t.note
CROSS JOIN LATERAL (SELECT co.notes && ARRAY['of_deleted_customer', 'of_inactive_customer'] AS emptied) x;
