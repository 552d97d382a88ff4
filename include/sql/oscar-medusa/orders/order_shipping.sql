-- entity: public.order_shipping
-- key:    id
-- scope:  order_id
-- source: identity.order(shop_id), public.order(id), public.order_shipping_method
SELECT clean.make_id('ordspmv', i.legacy_key) AS id,
       o.id AS order_id,
       o.version,
       m.id AS shipping_method_id,
       m.created_at,
       m.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public."order" o ON o.id = a.key
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN public.order_shipping_method m ON m.id = clean.make_id('ordsm', i.legacy_key);

-- lineage: public.order_shipping_method
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = clean.number_of(c.id);
