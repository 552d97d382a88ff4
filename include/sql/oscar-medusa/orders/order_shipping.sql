-- entity: public.order_shipping
-- key:    id
-- scope:  id
-- source: legacy.order_order(clean.make_id('ordspmv', id)), identity.order, public.order
-- source: public.order_shipping_method(clean.make_id('ordspmv', clean.number_of(id)))
SELECT a.key AS id,
       o.id AS order_id,
       o.version,
       m.id AS shipping_method_id,
       m.created_at,
       m.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = clean.number_of(a.key)
JOIN public."order" o ON o.id = i.shop_id
JOIN public.order_shipping_method m ON m.id = clean.make_id('ordsm', i.legacy_key);

-- lineage: identity.order
SELECT clean.make_id('ordspmv', c.legacy_key) FROM changed c;

-- lineage: public.order
SELECT clean.make_id('ordspmv', i.legacy_key) FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id;
