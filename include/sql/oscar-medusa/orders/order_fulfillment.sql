-- entity: public.order_fulfillment
-- key:    order_id, fulfillment_id
-- scope:  order_id
-- source: identity.order(shop_id), public.order(id), public.fulfillment, legacy.order_shippingevent
SELECT o.id AS order_id,
       f.id AS fulfillment_id,
       clean.make_id('ordful', e.id) AS id,
       f.created_at,
       f.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public."order" o ON o.id = a.key
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN legacy.order_shippingevent e ON e.order_id = i.legacy_key
JOIN public.fulfillment f ON f.id = clean.make_id('ful', e.id);

-- lineage: public.fulfillment
SELECT i.shop_id
FROM changed c
JOIN legacy.order_shippingevent e ON e.id = clean.number_of(c.id)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = e.order_id;

-- lineage: legacy.order_shippingevent
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;
