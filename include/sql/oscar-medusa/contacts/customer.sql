-- entity: public.customer
-- key:    id
-- scope:  id
-- source: identity.customer(shop_id), identity.guest(shop_id), legacy.auth_user, legacy.order_order
-- counts: legacy.auth_user(id) as (metadata->'legacy'->>'id')::integer
-- standardize: email legacy.auth_user (email)
-- One customer with an account per person: of several accounts with one e-mail the first that may sign in leads. One that Oscar
-- has blocked keeps its data and its orders, but no password. Oscar knows no phone, no company and no consent of an account.
-- Of an account that is deleted nothing is carried; its orders are nobody's then.
-- Guests are customers without an account, of whom nothing is known but the e-mail, as the application makes them itself.
WITH member AS (
    SELECT a.key, u.id, u.first_name, u.last_name, u.is_active, u.date_joined, u.is_staff OR u.is_superuser AS staff,
           i.cluster LIKE '#% deleted' AS deleted, btrim(u.email) = '' AS no_email, e.value AS email, e.problem
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_id = a.key
    JOIN legacy.auth_user u ON u.id = i.legacy_key
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = u.email
), ranked AS (
    SELECT m.*,
           row_number() OVER (PARTITION BY m.key ORDER BY m.is_active DESC, m.date_joined, m.id) AS rank,
           count(*) FILTER (WHERE m.is_active) OVER (PARTITION BY m.key) AS active,
           min(m.date_joined) OVER (PARTITION BY m.key) AS first_joined
    FROM member m
)
SELECT r.key AS id,
       r.email,
       nullif(btrim(r.first_name), '') AS first_name,
       nullif(btrim(r.last_name), '') AS last_name,
       true AS has_account,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object(
           'id', r.id,
           'notes', CASE WHEN r.active = 0 THEN jsonb_build_array('inactive')
                         WHEN r.active > 1 THEN jsonb_build_array('password_of_several') END))) AS metadata,
       r.first_joined AS created_at,
       r.first_joined AS updated_at,
       CASE WHEN r.staff OR r.deleted OR r.email IS NOT NULL THEN '{}'::text[]
            WHEN r.no_email THEN ARRAY['email_missing']
            ELSE ARRAY[coalesce(r.problem, 'email_invalid')] END AS problems,
       CASE WHEN r.staff THEN 'staff'
            WHEN r.deleted THEN 'soft_deleted'
            WHEN r.rank > 1 THEN 'merged_duplicate' END AS left_out
FROM ranked r
UNION ALL
SELECT g.shop_id, min(g.cluster), NULL, NULL, false, jsonb_build_object('legacy', jsonb_build_object('guest', true)),
       min(o.date_placed), min(o.date_placed), '{}'::text[], NULL
FROM affected a
JOIN ferry.identity g ON g.entity = 'guest' AND g.shop_id = a.key
JOIN legacy.order_order o ON o.id = g.legacy_key
GROUP BY g.shop_id;

-- lineage: legacy.auth_user
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;

-- lineage: legacy.order_order
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'guest' AND i.legacy_key = c.id;
