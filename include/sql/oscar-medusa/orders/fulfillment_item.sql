-- entity: public.fulfillment_item
-- key:    id
-- scope:  id
-- source: legacy.order_shippingeventquantity(clean.make_id('fulit', id)), clean.sent, clean.charge, public.fulfillment, public.order_line_item
-- index:  legacy.order_shippingeventquantity(event_id)
-- index:  legacy.order_shippingeventquantity(line_id)
-- What was in a parcel. Medusa wants texts where nothing is known, and takes an empty one.
SELECT a.key AS id,
       f.id AS fulfillment_id,
       li.id AS line_item_id,
       g.title,
       coalesce(g.sku, '') AS sku,
       coalesce(g.barcode, '') AS barcode,
       s.sent AS quantity,
       clean.big(s.sent) AS raw_quantity,
       s.happened_at AS created_at,
       s.happened_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_shippingeventquantity q ON q.id = clean.number_of(a.key)
JOIN public.fulfillment f ON f.id = clean.make_id('ful', q.event_id)
JOIN clean.sent s ON s.event_id = q.event_id AND s.number = q.line_id AND s.sent > 0
JOIN clean.charge g ON g.number = s.number
LEFT JOIN public.order_line_item li ON li.id = clean.make_id('ordli', s.number);

-- lineage: clean.sent
SELECT clean.make_id('fulit', q.id) FROM changed c JOIN legacy.order_shippingeventquantity q ON q.event_id = c.event_id;

-- lineage: clean.charge
SELECT clean.make_id('fulit', q.id) FROM changed c JOIN legacy.order_shippingeventquantity q ON q.line_id = c.number;

-- lineage: public.fulfillment
SELECT clean.make_id('fulit', q.id) FROM changed c JOIN legacy.order_shippingeventquantity q ON q.event_id = clean.number_of(c.id);

-- lineage: public.order_line_item
SELECT clean.make_id('fulit', q.id) FROM changed c JOIN legacy.order_shippingeventquantity q ON q.line_id = clean.number_of(c.id);
