-- entity: public.address_useraddress
-- key:    id
-- scope:  id
-- source: shop.customer_address(clean.legacy_id(metadata)), shop.customer_address, shop.customer
-- index:  shop.customer_address(customer_id)
-- after:  contacts/auth_user
-- The address book. Oscar works out hash and search_text when it saves an address; until then a new one has its number for a hash.
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
       CASE WHEN nullif(btrim(l.phone_number), '') = d.phone THEN l.phone_number ELSE left(coalesce(d.phone, ''), 128) END AS phone_number,
       coalesce(l.search_text, concat_ws(' ', d.first_name, d.last_name, d.address_1, d.address_2, d.city, d.postal_code)) AS search_text,
       coalesce(l.notes, '') AS notes,
       d.is_default_shipping OR (l.is_default_for_shipping IS TRUE AND o.shipping) AS is_default_for_shipping,
       d.is_default_billing OR (l.is_default_for_billing IS TRUE AND o.billing) AS is_default_for_billing,
       coalesce(l.num_orders_as_shipping_address, 0) AS num_orders_as_shipping_address,
       coalesce(l.num_orders_as_billing_address, 0) AS num_orders_as_billing_address,
       coalesce(l.hash, 'medusa-' || a.key) AS hash,
       l.code,
       coalesce(l.date_created, d.created_at) AS date_created,
       upper(d.country_code) AS country_id,
       coalesce(l.user_id, clean.legacy_id(c.metadata)) AS user_id,
       CASE WHEN d.country_code IS NULL THEN ARRAY['country_missing'] ELSE '{}' END AS problems
FROM affected a
JOIN shop.customer_address d ON clean.legacy_id(d.metadata) = a.key AND d.deleted_at IS NULL
JOIN shop.customer c ON c.id = d.customer_id AND c.has_account
LEFT JOIN public.address_useraddress l ON l.id = a.key
CROSS JOIN LATERAL (
    SELECT l.id IS NOT NULL AND nullif(concat_ws(', ', nullif(btrim(l.line2), ''), nullif(btrim(l.line3), '')), '')
           IS NOT DISTINCT FROM d.address_2 AS stays
) s
-- Of several defaults that Oscar held for one customer Medusa has the newest: the others stay as they were while that one does.
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(x.is_default_shipping AND y.is_default_for_shipping), false) AS shipping,
           coalesce(bool_or(x.is_default_billing AND y.is_default_for_billing), false) AS billing
    FROM shop.customer_address x
    JOIN public.address_useraddress y ON y.id = clean.legacy_id(x.metadata)
    WHERE x.customer_id = d.customer_id AND x.id <> d.id AND x.deleted_at IS NULL
) o;

-- lineage: shop.customer
SELECT clean.legacy_id(d.metadata) FROM changed c JOIN shop.customer_address d ON d.customer_id = c.id;

-- lineage: shop.customer_address
SELECT clean.legacy_id(d.metadata) FROM changed c JOIN shop.customer_address d ON d.customer_id = c.customer_id;
