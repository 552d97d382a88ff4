-- entity: public.orders
-- key:    id
-- scope:  id
-- source: shop.customer_order(id), shop.payment(order_id), shop.delivery(order_id), shop.customer, shop.customer_account
-- after:  contacts/customers
-- index:  shop.customer_order(customer_id)
-- index:  shop.customer_account(customer_id)
-- Orders in the old shape: payment and delivery within, codes for names. A code, a total or an address stays as it was
-- written where it still means what the shop holds; so does what was emptied because its customer has left.
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
), paid_by(code, method) AS (VALUES
    ('CARD', 'card'), ('KARTA', 'card'), ('CC', 'card'), ('CREDIT_CARD', 'card'), ('DEBIT_CARD', 'card'), ('P24', 'transfer'),
    ('PRZELEW', 'transfer'), ('TRANSFER', 'transfer'), ('BANK', 'transfer'), ('BOLETO', 'transfer'),
    ('COD', 'cash_on_delivery'), ('CASH ON DELIVERY', 'cash_on_delivery'), ('POBRANIE', 'cash_on_delivery'), ('BLIK', 'blik'),
    ('PAYPAL', 'wallet'), ('GPAY', 'wallet'), ('VOUCHER', 'voucher'), ('BON', 'voucher'), ('RATY', 'instalments')
), payment_code(method, code) AS (VALUES
    ('card', 'CARD'), ('transfer', 'PRZELEW'), ('cash_on_delivery', 'COD'), ('blik', 'BLIK'), ('wallet', 'PAYPAL'),
    ('voucher', 'VOUCHER'), ('instalments', 'RATY')
), sent_by(code, method) AS (VALUES
    ('DPD', 'courier'), ('KURIER', 'courier'), ('UPS', 'courier'), ('DHL', 'courier'), ('GLS', 'courier'),
    ('INPOST', 'parcel_locker'), ('PACZKOMAT', 'parcel_locker'), ('PP', 'post'), ('POCZTA', 'post'),
    ('POST', 'post'), ('CORREIOS', 'post'), ('FLAT SHIPPING RATE', 'courier'),
    ('ODBIOR', 'pickup'), ('PICKUP', 'pickup'), ('PALETA', 'freight'), ('DOWNLOAD', 'download')
), delivery_code(method, code) AS (VALUES
    ('courier', 'DPD'), ('parcel_locker', 'INPOST'), ('post', 'PP'), ('pickup', 'ODBIOR'), ('freight', 'PALETA'),
    ('download', 'DOWNLOAD')
)
SELECT o.id,
       CASE WHEN btrim(l.number) = o.number THEN l.number ELSE o.number END AS number,
       -- Of an old order whose account is one of the customer's, and of a guest's that found its customer by e-mail, it stays;
       -- an order whose customer has left the new shop since is nobody's.
       CASE WHEN x.left_since THEN 0
            WHEN l.id IS NOT NULL AND o.customer_id IS NULL AND coalesce(ma.customer_id, 0) = 0 THEN l.customer_id
            WHEN l.id IS NOT NULL AND ma.customer_id = o.customer_id THEN l.customer_id
            WHEN coalesce(l.customer_id, 0) <= 0 AND l.id IS NOT NULL AND e.value = c.email THEN l.customer_id
            ELSE coalesce(c.legacy_customer_id, 0) END AS customer_id,
       CASE WHEN l.id IS NOT NULL AND NOT x.left_since
                 AND (o.customer_id IS NOT NULL OR l.customer_id > 0 OR e.value IS NOT DISTINCT FROM o.guest_email) THEN l.email
            ELSE coalesce(o.guest_email, c.email) END AS email,
       CASE WHEN s.status = o.status::text THEN l.status_code ELSE w.code END AS status_code,
       CASE WHEN round(l.total, 2) = o.total THEN l.total ELSE o.total END AS total,
       CASE WHEN u.value = o.currency THEN l.currency ELSE o.currency END AS currency,
       CASE WHEN (p.order_id IS NULL AND l.id IS NOT NULL) OR pm.method = p.method::text THEN l.payment_code
            ELSE pc.code END AS payment_code,
       CASE WHEN (d.order_id IS NULL AND l.id IS NOT NULL) OR dm.method = d.method::text THEN l.delivery_code
            ELSE dc.code END AS delivery_code,
       CASE WHEN l.id IS NOT NULL AND round(coalesce(l.delivery_cost, 0), 2) = o.delivery_cost THEN l.delivery_cost
            ELSE o.delivery_cost END AS delivery_cost,
       CASE WHEN d.order_id IS NULL OR (x.emptied AND d.recipient IS NULL) OR ((l.ship_name IS NULL OR n.raw IS NOT NULL) AND n.value IS NOT DISTINCT FROM d.recipient)
            THEN l.ship_name ELSE left(d.recipient, 255) END AS ship_name,
       CASE WHEN d.order_id IS NULL OR (x.emptied AND d.street IS NULL) OR ((l.ship_street IS NULL OR st.raw IS NOT NULL) AND st.value IS NOT DISTINCT FROM d.street)
            THEN l.ship_street ELSE left(d.street, 255) END AS ship_street,
       CASE WHEN x.stays OR (x.emptied AND x.postcode IS NOT DISTINCT FROM d.postcode) THEN l.ship_postcode ELSE left(d.postcode, 20) END AS ship_postcode,
       CASE WHEN d.order_id IS NULL OR (x.emptied AND d.city IS NULL) OR ((l.ship_city IS NULL OR ci.raw IS NOT NULL) AND ci.value IS NOT DISTINCT FROM d.city)
            THEN l.ship_city ELSE left(d.city, 128) END AS ship_city,
       CASE WHEN x.stays THEN l.ship_country ELSE d.country_code END AS ship_country,
       CASE WHEN x.stays OR (x.emptied AND d.phone IS NULL) THEN l.ship_phone ELSE d.phone END AS ship_phone,
       CASE WHEN x.emptied AND o.note IS NULL THEN l.note
            WHEN (l.note IS NULL OR nt.raw IS NOT NULL) AND l.id IS NOT NULL AND nt.value IS NOT DISTINCT FROM o.note THEN l.note
            ELSE o.note END AS note,
       CASE WHEN l.created_at AT TIME ZONE 'Europe/Warsaw' = o.placed_at THEN l.created_at
            ELSE o.placed_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.customer_order o ON o.id = a.key
LEFT JOIN shop.payment p ON p.order_id = o.id
LEFT JOIN shop.delivery d ON d.order_id = o.id
LEFT JOIN shop.customer c ON c.id = o.customer_id
LEFT JOIN public.orders l ON l.id = o.id
LEFT JOIN shop.customer_account ma ON ma.legacy_customer_id = l.customer_id AND l.customer_id > 0
LEFT JOIN status s ON s.code = upper(btrim(l.status_code))
LEFT JOIN written w ON w.status = o.status::text
LEFT JOIN paid_by pm ON pm.code = upper(btrim(l.payment_code))
LEFT JOIN payment_code pc ON pc.method = p.method::text
LEFT JOIN sent_by dm ON dm.code = upper(btrim(l.delivery_code))
LEFT JOIN delivery_code dc ON dc.method = d.method::text
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = l.email
LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = l.currency
LEFT JOIN ferry.standardized nt ON nt.kind = 'text' AND nt.raw = l.note
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.ship_name
LEFT JOIN ferry.standardized st ON st.kind = 'text' AND st.raw = l.ship_street
LEFT JOIN ferry.standardized ci ON ci.kind = 'text' AND ci.raw = l.ship_city
CROSS JOIN LATERAL (
    SELECT d.order_id IS NULL OR (l.id IS NOT NULL
           AND (btrim(coalesce(l.ship_country, '')) = '' OR k.raw IS NOT NULL)
           AND CASE WHEN btrim(coalesce(l.ship_country, '')) = '' THEN 'PL' ELSE k.value END IS NOT DISTINCT FROM d.country_code
           AND (l.ship_postcode IS NULL OR z.raw IS NOT NULL)
           AND w.postcode IS NOT DISTINCT FROM d.postcode
           AND (l.ship_phone IS NULL OR f.raw IS NOT NULL) AND CASE WHEN w.emptied THEN NULL ELSE f.value END IS NOT DISTINCT FROM d.phone) AS stays,
           w.emptied, w.postcode,
           (l.customer_id > 0 AND o.customer_id IS NULL AND ma.customer_id IS NULL AND NOT w.emptied) IS TRUE AS left_since
    FROM (VALUES (1)) one (y)
    LEFT JOIN ferry.standardized k ON k.kind = 'country' AND k.raw = l.ship_country
    LEFT JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = coalesce(l.ship_country, '') || '|' || l.ship_postcode
    LEFT JOIN ferry.standardized f ON f.kind = 'phone' AND f.raw = coalesce(l.ship_country, '') || '|' || l.ship_phone
    CROSS JOIN LATERAL (
        SELECT y.emptied, CASE WHEN y.emptied THEN left(y.postcode, 2) ELSE y.postcode END AS postcode
        FROM (SELECT o.notes && ARRAY['of_deleted_customer', 'of_inactive_customer'] AS emptied,
                     coalesce(z.value, nullif(btrim(l.ship_postcode), '')) AS postcode) y
    ) w
) x;

-- lineage: shop.customer
SELECT o.id FROM changed c JOIN shop.customer_order o ON o.customer_id = c.id;

-- lineage: shop.customer_account
SELECT o.id FROM changed c JOIN shop.customer_order o ON o.customer_id = c.customer_id;
