-- entity: public.fulfillment
-- key:    id
-- scope:  id
-- source: legacy.order_shippingevent(clean.make_id('ful', id)), clean.sent, identity.order, public.order, public.fulfillment_address, ferry.setting
-- One parcel for each event by which pieces were sent. All of an order's parcels have arrived once as many pieces have as were sent:
-- Oscar does not say in which of them.
SELECT a.key AS id,
       (SELECT value FROM ferry.setting WHERE name = 'stock_location') AS location_id,
       (SELECT value FROM ferry.setting WHERE name = 'fulfillment_provider') AS provider_id,
       d.id AS delivery_address_id,
       '{}'::jsonb AS data,
       true AS requires_shipping,
       e.date_created AS packed_at,
       e.date_created AS shipped_at,
       CASE WHEN q.arrived >= q.sent THEN greatest(e.date_created, q.last) END AS delivered_at,
       e.date_created AS created_at,
       CASE WHEN q.arrived >= q.sent THEN greatest(e.date_created, q.last) ELSE e.date_created END AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_shippingevent e ON e.id = clean.number_of(a.key)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = e.order_id
JOIN public."order" o ON o.id = i.shop_id
LEFT JOIN public.fulfillment_address d ON d.id = clean.make_id('fuladdr', e.id)
CROSS JOIN LATERAL (
    SELECT sum(s.sent) AS sent, sum(s.arrived) AS arrived, max(s.happened_at) FILTER (WHERE s.arrived > 0) AS last
    FROM clean.sent s
    WHERE s.order_id = e.order_id
) q
WHERE EXISTS (SELECT FROM clean.sent s WHERE s.order_id = e.order_id AND s.event_id = e.id AND s.kind = 'shipped');

-- lineage: clean.sent
SELECT clean.make_id('ful', e.id) FROM changed c JOIN legacy.order_shippingevent e ON e.order_id = c.order_id;

-- lineage: public.order
SELECT clean.make_id('ful', e.id)
FROM changed c
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id
JOIN legacy.order_shippingevent e ON e.order_id = i.legacy_key;

-- lineage: public.fulfillment_address
SELECT clean.make_id('ful', clean.number_of(c.id)) FROM changed c;

-- lineage: identity.order
SELECT clean.make_id('ful', e.id) FROM changed c JOIN legacy.order_shippingevent e ON e.order_id = c.legacy_key;
