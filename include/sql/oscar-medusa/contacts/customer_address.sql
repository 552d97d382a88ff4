-- entity: public.customer_address
-- key:    id
-- scope:  customer_id
-- source: identity.customer(shop_id), legacy.address_useraddress, public.customer(id)
-- counts: legacy.address_useraddress(id) as clean.number_of(id)::integer
-- index:  legacy.address_useraddress(user_id)
-- The address books of all accounts of a customer. Medusa lets one address be the default for each purpose: the newest that
-- Oscar holds for it. line4 is Oscar's town.
WITH book AS (
    SELECT i.shop_id, i.cluster, c.id AS customer_id, d.id, d.title, d.first_name, d.last_name, d.line1, d.line2, d.line3, d.line4,
           d.state, d.postcode, d.phone_number, d.notes, d.country_id, d.date_created,
           d.is_default_for_shipping AND row_number() OVER (
               PARTITION BY i.shop_id, d.is_default_for_shipping ORDER BY d.date_created DESC, d.id DESC) = 1 AS for_shipping,
           d.is_default_for_billing AND row_number() OVER (
               PARTITION BY i.shop_id, d.is_default_for_billing ORDER BY d.date_created DESC, d.id DESC) = 1 AS for_billing
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_id = a.key
    JOIN legacy.address_useraddress d ON d.user_id = i.legacy_key
    LEFT JOIN public.customer c ON c.id = i.shop_id
)
SELECT clean.make_id('cuaddr', b.id) AS id,
       b.shop_id AS customer_id,
       b.for_shipping AS is_default_shipping,
       b.for_billing AS is_default_billing,
       nullif(btrim(b.first_name), '') AS first_name,
       nullif(btrim(b.last_name), '') AS last_name,
       nullif(btrim(b.line1), '') AS address_1,
       nullif(concat_ws(', ', nullif(btrim(b.line2), ''), nullif(btrim(b.line3), '')), '') AS address_2,
       nullif(btrim(b.line4), '') AS city,
       lower(b.country_id) AS country_code,
       nullif(btrim(b.state), '') AS province,
       nullif(btrim(b.postcode), '') AS postal_code,
       nullif(btrim(b.phone_number), '') AS phone,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object(
           'id', b.id, 'title', nullif(btrim(b.title), ''), 'notes', nullif(btrim(b.notes), '')))) AS metadata,
       b.date_created AS created_at,
       b.date_created AS updated_at,
       CASE WHEN b.customer_id IS NULL AND b.cluster NOT LIKE ALL (ARRAY['#% staff', '#% deleted'])
            THEN ARRAY['customer_quarantined'] ELSE '{}' END AS problems,
       CASE WHEN b.cluster LIKE '#% staff' THEN 'staff'
            WHEN b.cluster LIKE '#% deleted' THEN 'soft_deleted' END AS left_out
FROM book b;

-- lineage: legacy.address_useraddress
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.user_id;
