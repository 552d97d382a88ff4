-- entity: public.order_item
-- key:    id
-- scope:  order_id
-- source: identity.order(shop_id), clean.charge, clean.sent, public.order_line_item, public.order(id)
-- How much of each line there is, was sent and has arrived. Only rows of the order's own version are seen; old orders are at 1.
SELECT clean.make_id('orditem', g.number) AS id,
       o.id AS order_id,
       o.version,
       li.id AS item_id,
       g.quantity, clean.big(g.quantity) AS raw_quantity,
       q.sent AS fulfilled_quantity, clean.big(q.sent) AS raw_fulfilled_quantity,
       q.sent AS shipped_quantity, clean.big(q.sent) AS raw_shipped_quantity,
       q.arrived AS delivered_quantity, clean.big(q.arrived) AS raw_delivered_quantity,
       0 AS return_requested_quantity, 0 AS return_received_quantity, 0 AS return_dismissed_quantity, 0 AS written_off_quantity,
       li.created_at,
       li.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public."order" o ON o.id = a.key
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN clean.charge g ON g.order_id = i.legacy_key
JOIN public.order_line_item li ON li.id = clean.make_id('ordli', g.number)
CROSS JOIN LATERAL (
    SELECT least(g.quantity, coalesce(sum(s.sent), 0)) AS sent, least(g.quantity, coalesce(sum(s.arrived), 0)) AS arrived
    FROM clean.sent s
    WHERE s.order_id = g.order_id AND s.number = g.number
) q;

-- lineage: clean.charge
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;

-- lineage: clean.sent
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;

-- lineage: public.order_line_item
SELECT i.shop_id
FROM changed c
JOIN clean.charge g ON g.number = clean.number_of(c.id)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = g.order_id;
