-- entity: shop.delivery
-- key:    order_id
-- scope:  order_id
-- source: legacy.orders(id), shop.customer_order(id)
-- standardize: text legacy.orders (ship_name)
-- standardize: text legacy.orders (ship_street)
-- standardize: text legacy.orders (ship_city)
-- standardize: country legacy.orders (ship_country)
-- standardize: postcode legacy.orders (coalesce(ship_country, '') || '|' || ship_postcode)
-- standardize: phone legacy.orders (coalesce(ship_country, '') || '|' || ship_phone)
-- Where each order went. History is not stopped for a bad postcode: it stays as written, with a note. Of a customer who has left
-- there stays what tax law asks for, the country and which part of it.
WITH method(code, method) AS (VALUES
    ('DPD', 'courier'), ('KURIER', 'courier'), ('UPS', 'courier'), ('DHL', 'courier'), ('GLS', 'courier'),
    ('INPOST', 'parcel_locker'), ('PACZKOMAT', 'parcel_locker'), ('PP', 'post'), ('POCZTA', 'post'),
    ('POST', 'post'), ('CORREIOS', 'post'), ('FLAT SHIPPING RATE', 'courier'),
    ('ODBIOR', 'pickup'), ('PICKUP', 'pickup'), ('PALETA', 'freight'), ('DOWNLOAD', 'download')
)
SELECT co.id AS order_id,
       m.method::shop.delivery_method AS method,
       CASE co.status WHEN 'shipped' THEN 'under_way' WHEN 'delivered' THEN 'delivered' WHEN 'returned' THEN 'returned'
            WHEN 'refunded' THEN 'returned' WHEN 'cancelled' THEN 'cancelled'
            ELSE 'waiting' END::shop.delivery_state AS state,
       co.delivery_cost AS cost,
       co.currency,
       CASE WHEN x.emptied THEN NULL ELSE n.value END AS recipient,
       CASE WHEN x.emptied THEN NULL ELSE s.value END AS street,
       CASE WHEN x.emptied THEN left(w.postcode, 2) ELSE w.postcode END AS postcode,
       CASE WHEN x.emptied THEN NULL ELSE t.value END AS city,
       CASE WHEN btrim(coalesce(o.ship_country, '')) = '' THEN 'PL' ELSE k.value END AS country_code,
       CASE WHEN x.emptied THEN NULL ELSE p.value END AS phone,
       array_remove(ARRAY[
           CASE WHEN k.value IS NULL AND btrim(o.ship_country) <> '' THEN 'country_unknown' END,
           CASE WHEN NOT x.emptied AND z.value IS NULL AND z.problem <> 'postcode_missing' THEN 'postcode_invalid' END,
           CASE WHEN NOT x.emptied AND p.value IS NULL AND p.problem <> 'phone_missing' THEN p.problem END
       ], NULL) AS notes,
       CASE WHEN m.method IS NULL THEN ARRAY['delivery_method_unknown'] ELSE '{}' END AS problems
FROM affected a
JOIN legacy.orders o ON o.id = a.key
JOIN shop.customer_order co ON co.id = o.id
LEFT JOIN method m ON m.code = upper(btrim(o.delivery_code))
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = o.ship_name
LEFT JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = o.ship_street
LEFT JOIN ferry.standardized t ON t.kind = 'text' AND t.raw = o.ship_city
LEFT JOIN ferry.standardized k ON k.kind = 'country' AND k.raw = o.ship_country
LEFT JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = coalesce(o.ship_country, '') || '|' || o.ship_postcode
LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(o.ship_country, '') || '|' || o.ship_phone
CROSS JOIN LATERAL (SELECT co.notes && ARRAY['of_deleted_customer', 'of_inactive_customer'] AS emptied) x
CROSS JOIN LATERAL (SELECT coalesce(z.value, nullif(btrim(o.ship_postcode), '')) AS postcode) w;
