-- entity: shop.customer_order
-- key:    id
-- scope:  id
-- source: legacy.orders(id), legacy.order_items(order_id), identity.customer, identity.account, legacy.customers, shop.customer
-- counts: legacy.orders(id) as id
-- index:  legacy.orders(customer_id)
-- index:  legacy.orders(email)
-- standardize: email legacy.orders (email)
-- standardize: currency legacy.orders (currency)
-- standardize: text legacy.orders (note)
-- standardize: name_words legacy.orders (ship_name)
-- standardize: name_words legacy.customers (full_name)
-- standardize: phone legacy.orders (coalesce(ship_country, '') || '|' || ship_phone)
-- standardize: phone legacy.customers (coalesce(bill_country, '') || '|' || phone)
-- Orders as they were. A guest with the e-mail of an account is that customer if the name or the phone agrees with the account that
-- leads; an e-mail alone may be mistyped into somebody else's. Orders of customers who have left stay, detached and without what
-- they wrote. The total is never recomputed: where the lines do not add up to it, the difference is shown.
WITH status(code, status) AS (VALUES
    ('NEW', 'pending'), ('1', 'pending'), ('N', 'pending'), ('PAID', 'paid'), ('2', 'paid'), ('P', 'paid'),
    ('PROC', 'processing'), ('3', 'processing'), ('SENT', 'shipped'), ('4', 'shipped'), ('S', 'shipped'),
    ('DONE', 'delivered'), ('5', 'delivered'), ('D', 'delivered'), ('CANC', 'cancelled'), ('6', 'cancelled'),
    ('C', 'cancelled'), ('RET', 'returned'), ('7', 'returned'), ('REFUND', 'refunded'), ('8', 'refunded'),
    ('PENDING', 'pending'), ('CREATED', 'pending'), ('APPROVED', 'paid'), ('INVOICED', 'paid'), ('PROCESSING', 'processing'),
    ('SHIPPED', 'shipped'), ('DELIVERED', 'delivered'), ('COMPLETED', 'delivered'), ('CANCELED', 'cancelled'),
    ('CANCELLED', 'cancelled'), ('RETURNED', 'returned'), ('REFUNDED', 'refunded')
)
SELECT o.id,
       btrim(o.number) AS number,
       CASE WHEN o.customer_id > 0 THEN sc.id WHEN g.known THEN g.shop_key END AS customer_id,
       CASE WHEN o.customer_id > 0 OR g.known THEN NULL ELSE e.value END AS guest_email,
       s.status::shop.order_status AS status,
       u.value AS currency,
       round(o.total, 2) AS total,
       round(coalesce(o.delivery_cost, 0), 2) AS delivery_cost,
       round(o.total, 2) - round(coalesce(o.delivery_cost, 0), 2) - l.total AS total_difference,
       o.created_at AT TIME ZONE 'Europe/Warsaw' AS placed_at,
       CASE WHEN i.cluster LIKE ANY ('{#% deleted,#% inactive}') THEN NULL ELSE n.value END AS note,
       CASE WHEN i.cluster LIKE '#% deleted' THEN ARRAY['of_deleted_customer']
            WHEN i.cluster LIKE '#% inactive' THEN ARRAY['of_inactive_customer']
            WHEN NOT g.known THEN ARRAY['guest_unproven'] ELSE '{}' END AS notes,
       array_remove(ARRAY[
           CASE WHEN o.customer_id > 0 AND (i.legacy_key IS NULL OR i.cluster LIKE '#% missing') THEN 'customer_missing'
                WHEN o.customer_id > 0 AND sc.id IS NULL AND i.cluster NOT LIKE ALL ('{#% deleted,#% inactive}') THEN 'customer_quarantined'
           END,
           CASE WHEN coalesce(o.customer_id, 0) <= 0 AND e.value IS NULL AND btrim(o.email) <> ''
                THEN coalesce(e.problem, 'email_invalid') END,
           CASE WHEN s.status IS NULL THEN 'status_unknown' END,
           CASE WHEN u.value IS NULL THEN 'currency_unknown' END,
           CASE WHEN o.total IS NULL THEN 'total_missing' WHEN o.total = 'NaN' THEN 'total_not_a_number'
                WHEN o.total < 0 THEN 'total_negative' END,
           CASE WHEN o.delivery_cost = 'NaN' THEN 'delivery_cost_not_a_number'
                WHEN o.delivery_cost < 0 THEN 'delivery_cost_negative' END,
           CASE WHEN btrim(coalesce(o.number, '')) = '' THEN 'number_missing' END,
           CASE WHEN o.created_at IS NULL THEN 'date_missing'
                WHEN o.created_at < '1995-01-01' THEN 'date_implausible'
                WHEN o.created_at >= '2035-01-01' THEN 'date_in_future' END
       ], NULL) AS problems
FROM affected a
JOIN legacy.orders o ON o.id = a.key
LEFT JOIN status s ON s.code = upper(btrim(o.status_code))
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = o.email
LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = o.currency
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = o.note
LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.customer_id AND o.customer_id > 0
LEFT JOIN shop.customer sc ON sc.id = i.shop_key
LEFT JOIN LATERAL (
    SELECT mc.id AS shop_key,
           coalesce(string_to_array(w.value, ' ') && string_to_array(v.value, ' '), false)
               OR coalesce(p.value = q.value, false) AS known
    FROM shop.customer mc
    JOIN legacy.customers lc ON lc.id = mc.legacy_customer_id
    LEFT JOIN ferry.standardized w ON w.kind = 'name_words' AND w.raw = lc.full_name
    LEFT JOIN ferry.standardized v ON v.kind = 'name_words' AND v.raw = o.ship_name
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(o.ship_country, '') || '|' || o.ship_phone
    LEFT JOIN ferry.standardized q ON q.kind = 'phone' AND q.raw = coalesce(lc.bill_country, '') || '|' || lc.phone
    WHERE mc.id = (SELECT min(m.shop_key)
                   FROM ferry.identity k
                   JOIN ferry.identity m ON m.entity = 'customer' AND m.legacy_key = k.legacy_key
                   WHERE k.entity = 'account' AND k.cluster = e.value)
      AND coalesce(o.customer_id, 0) <= 0
) g ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(nullif(round(coalesce(t.line_total, t.quantity * t.unit_price), 2), 'NaN')), 0) AS total
    FROM legacy.order_items t
    WHERE t.order_id = o.id
) l;

-- lineage: identity.customer
SELECT o.id FROM changed c JOIN legacy.orders o ON o.customer_id = c.legacy_key
UNION
SELECT o.id
FROM changed c
JOIN ferry.identity k ON k.entity = 'account' AND k.legacy_key = c.legacy_key
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = k.cluster
JOIN legacy.orders o ON o.email = s.raw AND coalesce(o.customer_id, 0) <= 0;

-- lineage: identity.account
SELECT o.id
FROM changed c
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = c.cluster
JOIN legacy.orders o ON o.email = s.raw AND coalesce(o.customer_id, 0) <= 0;

-- lineage: shop.customer
SELECT o.id
FROM changed c
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = c.id
JOIN legacy.orders o ON o.customer_id = i.legacy_key
UNION
SELECT o.id
FROM changed c
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = c.id
JOIN ferry.identity k ON k.entity = 'account' AND k.legacy_key = i.legacy_key
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = k.cluster
JOIN legacy.orders o ON o.email = s.raw AND coalesce(o.customer_id, 0) <= 0;

-- lineage: legacy.customers
SELECT o.id
FROM changed c
JOIN ferry.identity m ON m.entity = 'customer' AND m.legacy_key = c.id
JOIN ferry.identity n ON n.entity = 'customer' AND n.shop_key = m.shop_key
JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = n.legacy_key
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = i.cluster
JOIN legacy.orders o ON o.email = s.raw AND coalesce(o.customer_id, 0) <= 0;
