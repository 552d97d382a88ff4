-- entity: public.order_status_log
-- key:    id
-- scope:  id
-- source: shop.order_event(id)
-- after:  orders/orders
-- The status history, with the codes that the old application writes.
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
       CASE WHEN l.id IS NOT NULL AND nullif(btrim(l.changed_by), '') IS NOT DISTINCT FROM v.actor THEN l.changed_by
            ELSE left(v.actor, 64) END AS changed_by,
       CASE WHEN l.id IS NOT NULL AND (l.note IS NULL OR n.raw IS NOT NULL) AND n.value IS NOT DISTINCT FROM v.note THEN l.note
            ELSE left(v.note, 255) END AS note,
       CASE WHEN l.changed_at AT TIME ZONE 'Europe/Warsaw' = v.happened_at THEN l.changed_at
            ELSE v.happened_at AT TIME ZONE 'Europe/Warsaw' END AS changed_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.order_event v ON v.id = a.key
LEFT JOIN public.order_status_log l ON l.id = v.id
LEFT JOIN status s ON s.code = upper(btrim(l.status_code))
LEFT JOIN written w ON w.status = v.status::text
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.note;
