-- entity: public.fulfillment_address
-- key:    id
-- scope:  id
-- source: legacy.order_shippingevent(clean.make_id('fuladdr', id)), clean.sent(clean.make_id('fuladdr', event_id)), legacy.order_order
-- source: public.order_address, identity.order, public.order
-- Where a parcel went: the order's address of delivery, once for each parcel.
SELECT a.key AS id,
       d.first_name, d.last_name, d.address_1, d.address_2, d.city, d.country_code, d.province, d.postal_code, d.phone,
       e.date_created AS created_at,
       e.date_created AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_shippingevent e ON e.id = clean.number_of(a.key)
JOIN legacy.order_order o ON o.id = e.order_id
JOIN public.order_address d ON d.id = clean.make_id('ordaddr', o.shipping_address_id)
WHERE EXISTS (SELECT FROM clean.sent s WHERE s.order_id = o.id AND s.event_id = e.id AND s.kind = 'shipped')
  AND EXISTS (SELECT FROM ferry.identity i JOIN public."order" n ON n.id = i.shop_id
              WHERE i.entity = 'order' AND i.legacy_key = o.id);

-- lineage: legacy.order_order
SELECT clean.make_id('fuladdr', e.id) FROM changed c JOIN legacy.order_shippingevent e ON e.order_id = c.id;

-- lineage: public.order_address
SELECT clean.make_id('fuladdr', e.id)
FROM changed c
JOIN legacy.order_order o ON o.shipping_address_id = clean.number_of(c.id)
JOIN legacy.order_shippingevent e ON e.order_id = o.id;

-- lineage: public.order
SELECT clean.make_id('fuladdr', e.id)
FROM changed c
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id
JOIN legacy.order_shippingevent e ON e.order_id = i.legacy_key;

-- lineage: identity.order
SELECT clean.make_id('fuladdr', e.id) FROM changed c JOIN legacy.order_shippingevent e ON e.order_id = c.legacy_key;
