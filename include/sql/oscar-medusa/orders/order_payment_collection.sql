-- entity: public.order_payment_collection
-- key:    order_id, payment_collection_id
-- scope:  order_id
-- source: identity.order(shop_id), public.order(id), public.payment_collection
SELECT o.id AS order_id,
       p.id AS payment_collection_id,
       clean.make_id('ordpay', i.legacy_key) AS id,
       p.created_at,
       p.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public."order" o ON o.id = a.key
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN public.payment_collection p ON p.id = clean.make_id('pay_col', i.legacy_key);

-- lineage: public.payment_collection
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = clean.number_of(c.id);
