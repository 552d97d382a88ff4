-- entity: public.auth_identity
-- key:    id
-- scope:  id
-- source: identity.login(shop_id), identity.customer, public.customer
-- Every customer with an account has one: without it nobody could log in, set a new password, or register again.
SELECT l.shop_id AS id,
       jsonb_build_object('customer_id', c.id) AS app_metadata,
       c.created_at,
       c.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN ferry.identity l ON l.entity = 'login' AND l.shop_id = a.key
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = l.legacy_key
JOIN public.customer c ON c.id = i.shop_id
GROUP BY l.shop_id, c.id;

-- lineage: identity.customer
SELECT l.shop_id FROM changed c JOIN ferry.identity l ON l.entity = 'login' AND l.legacy_key = c.legacy_key;

-- lineage: public.customer
SELECT l.shop_id
FROM changed c
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_id = c.id
JOIN ferry.identity l ON l.entity = 'login' AND l.legacy_key = i.legacy_key;
