-- entity: public.order_address
-- key:    id
-- scope:  id
-- source: legacy.order_shippingaddress(clean.make_id('ordaddr', id)), legacy.order_billingaddress(clean.make_id('ordaddr', clean.second(id)))
-- source: legacy.order_order
-- index:  legacy.order_order(shipping_address_id)
-- index:  legacy.order_order(billing_address_id)
-- The addresses of orders, as they were; what no order has any more is nobody's, and stays behind.
WITH written AS (
    SELECT a.key, d.id, d.title, d.first_name, d.last_name, d.line1, d.line2, d.line3, d.line4, d.state, d.postcode, d.phone_number,
           d.notes, d.country_id, (SELECT min(o.date_placed) FROM legacy.order_order o WHERE o.shipping_address_id = d.id) AS placed
    FROM affected a
    JOIN legacy.order_shippingaddress d ON d.id = clean.number_of(a.key)
    UNION ALL
    SELECT a.key, d.id, d.title, d.first_name, d.last_name, d.line1, d.line2, d.line3, d.line4, d.state, d.postcode, '',
           '', d.country_id, (SELECT min(o.date_placed) FROM legacy.order_order o WHERE o.billing_address_id = d.id)
    FROM affected a
    JOIN legacy.order_billingaddress d ON d.id = clean.number_of(a.key) - clean.second(0)
)
SELECT w.key AS id,
       nullif(btrim(w.first_name), '') AS first_name,
       nullif(btrim(w.last_name), '') AS last_name,
       nullif(btrim(w.line1), '') AS address_1,
       nullif(concat_ws(', ', nullif(btrim(w.line2), ''), nullif(btrim(w.line3), '')), '') AS address_2,
       nullif(btrim(w.line4), '') AS city,
       lower(w.country_id) AS country_code,
       nullif(btrim(w.state), '') AS province,
       nullif(btrim(w.postcode), '') AS postal_code,
       nullif(btrim(w.phone_number), '') AS phone,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object(
           'id', w.id, 'title', nullif(btrim(w.title), ''), 'notes', nullif(btrim(w.notes), '')))) AS metadata,
       w.placed AS created_at,
       w.placed AS updated_at,
       '{}'::text[] AS problems
FROM written w
WHERE w.placed IS NOT NULL;

-- lineage: legacy.order_order
SELECT clean.make_id('ordaddr', c.shipping_address_id) FROM changed c WHERE c.shipping_address_id IS NOT NULL
UNION ALL
SELECT clean.make_id('ordaddr', clean.second(c.billing_address_id)) FROM changed c WHERE c.billing_address_id IS NOT NULL;
