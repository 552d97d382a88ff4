-- entity: public.order_shipping_method
-- key:    id
-- scope:  id
-- source: legacy.order_order(clean.make_id('ordsm', id)), clean.bill(clean.make_id('ordsm', id)), identity.order, public.order
-- How an order was to be sent, and for how much before discounts; none where Oscar names none and nothing was charged.
SELECT a.key AS id,
       coalesce(nullif(btrim(o.shipping_method), ''), nullif(btrim(o.shipping_code), ''), '?') AS name,
       b.shipping AS amount,
       clean.big(b.shipping) AS raw_amount,
       true AS is_tax_inclusive,
       true AS is_custom_amount,
       '{}'::jsonb AS data,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object('code', nullif(btrim(o.shipping_code), '')))) AS metadata,
       n.created_at,
       n.created_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_order o ON o.id = clean.number_of(a.key)
JOIN clean.bill b ON b.id = o.id
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id
JOIN public."order" n ON n.id = i.shop_id
WHERE btrim(o.shipping_method) <> '' OR b.shipping <> 0;

-- lineage: identity.order
SELECT clean.make_id('ordsm', c.legacy_key) FROM changed c;

-- lineage: public.order
SELECT clean.make_id('ordsm', i.legacy_key) FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id;
