-- entity: public.order_status_log
-- key:    id
-- scope:  id
-- source: shop.order_event(id), shop.customer_order
-- after:  orders/orders
-- index:  shop.order_event(order_id)
-- The status history, with the codes that the old application writes. What was emptied because its customer has left stays as
-- it is in legacy.
WITH status(code, status) AS (VALUES
    ('NEW', 'pending'), ('1', 'pending'), ('N', 'pending'), ('PAID', 'paid'), ('2', 'paid'), ('P', 'paid'),
    ('PROC', 'processing'), ('3', 'processing'), ('SENT', 'shipped'), ('4', 'shipped'), ('S', 'shipped'),
    ('DONE', 'delivered'), ('5', 'delivered'), ('D', 'delivered'), ('CANC', 'cancelled'), ('6', 'cancelled'),
    ('C', 'cancelled'), ('RET', 'returned'), ('7', 'returned'), ('REFUND', 'refunded'), ('8', 'refunded'),
    ('PENDING', 'pending'), ('CREATED', 'pending'), ('APPROVED', 'paid'), ('INVOICED', 'paid'), ('PROCESSING', 'processing'),
    ('SHIPPED', 'shipped'), ('DELIVERED', 'delivered'), ('COMPLETED', 'delivered'), ('CANCELED', 'cancelled'),
    ('CANCELLED', 'cancelled'), ('RETURNED', 'returned'), ('REFUNDED', 'refunded')
), written(status, code) AS (VALUES
    ('pending', 'NEW'), ('paid', 'PAID'), ('processing', 'PROC'), ('shipped', 'SENT'), ('delivered', 'DONE'),
    ('cancelled', 'CANC'), ('returned', 'RET'), ('refunded', 'REFUND')
)
SELECT v.id,
       v.order_id,
       CASE WHEN s.status = v.status::text THEN l.status_code ELSE w.code END AS status_code,
       CASE WHEN x.emptied AND v.actor IS NULL THEN l.changed_by
            WHEN l.id IS NOT NULL AND nullif(btrim(l.changed_by), '') IS NOT DISTINCT FROM v.actor THEN l.changed_by
            ELSE left(v.actor, 64) END AS changed_by,
       CASE WHEN x.emptied AND v.note IS NULL THEN l.note
            WHEN l.id IS NOT NULL AND (l.note IS NULL OR n.raw IS NOT NULL) AND n.value IS NOT DISTINCT FROM v.note THEN l.note
            ELSE left(v.note, 255) END AS note,
       CASE WHEN l.changed_at AT TIME ZONE 'Europe/Warsaw' = v.happened_at THEN l.changed_at
            ELSE v.happened_at AT TIME ZONE 'Europe/Warsaw' END AS changed_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.order_event v ON v.id = a.key
LEFT JOIN shop.customer_order o ON o.id = v.order_id
LEFT JOIN public.order_status_log l ON l.id = v.id
LEFT JOIN status s ON s.code = upper(btrim(l.status_code))
LEFT JOIN written w ON w.status = v.status::text
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.note
CROSS JOIN LATERAL (SELECT o.notes && ARRAY['of_deleted_customer', 'of_inactive_customer'] AS emptied) x;

-- lineage: shop.customer_order
SELECT v.id FROM changed c JOIN shop.order_event v ON v.order_id = c.id;
