-- entity: public.order_billingaddress
-- key:    id
-- scope:  id
-- source: shop.order_address(clean.billing_id(id, metadata)), shop.order
-- index:  shop.order(billing_address_id)
-- Of the addresses of orders those that an order has for billing.
SELECT a.key AS id,
       coalesce(l.title, '') AS title,
       CASE WHEN nullif(btrim(l.first_name), '') = d.first_name THEN l.first_name ELSE left(coalesce(d.first_name, ''), 255) END AS first_name,
       CASE WHEN nullif(btrim(l.last_name), '') = d.last_name THEN l.last_name ELSE left(coalesce(d.last_name, ''), 255) END AS last_name,
       CASE WHEN nullif(btrim(l.line1), '') = d.address_1 THEN l.line1 ELSE left(coalesce(d.address_1, ''), 255) END AS line1,
       CASE WHEN s.stays THEN l.line2 ELSE left(coalesce(d.address_2, ''), 255) END AS line2,
       CASE WHEN s.stays THEN l.line3 ELSE '' END AS line3,
       CASE WHEN nullif(btrim(l.line4), '') = d.city THEN l.line4 ELSE left(coalesce(d.city, ''), 255) END AS line4,
       CASE WHEN nullif(btrim(l.state), '') = d.province THEN l.state ELSE left(coalesce(d.province, ''), 255) END AS state,
       CASE WHEN nullif(btrim(l.postcode), '') = d.postal_code THEN l.postcode ELSE left(coalesce(d.postal_code, ''), 64) END AS postcode,
       coalesce(l.search_text, concat_ws(' ', d.first_name, d.last_name, d.address_1, d.address_2, d.city, d.postal_code)) AS search_text,
       l.code,
       upper(d.country_code) AS country_id,
       CASE WHEN d.country_code IS NULL THEN ARRAY['country_missing'] ELSE '{}' END AS problems
FROM affected a
JOIN shop.order_address d ON clean.billing_id(d.id, d.metadata) = a.key
LEFT JOIN public.order_billingaddress l ON l.id = a.key
CROSS JOIN LATERAL (
    SELECT l.id IS NOT NULL AND nullif(concat_ws(', ', nullif(btrim(l.line2), ''), nullif(btrim(l.line3), '')), '')
           IS NOT DISTINCT FROM d.address_2 AS stays
) s
WHERE l.id IS NOT NULL OR EXISTS (SELECT FROM shop."order" o WHERE o.billing_address_id = d.id);

-- lineage: shop.order
SELECT clean.billing_id(d.id, d.metadata) FROM changed c JOIN shop.order_address d ON d.id = c.billing_address_id;
