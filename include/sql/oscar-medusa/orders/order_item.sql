-- entity: public.order_item
-- key:    id
-- scope:  id
-- source: legacy.order_line(clean.make_id('orditem', id)), legacy.order_surcharge(clean.make_id('orditem', clean.second(id)))
-- source: clean.charge(clean.make_id('orditem', number)), clean.sent(clean.make_id('orditem', number))
-- source: public.order_line_item(clean.make_id('orditem', clean.number_of(id))), identity.order, public.order
-- How much of each line there is, was sent and has arrived. Only rows of the order's own version are seen; old orders are at 1.
SELECT a.key AS id,
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
JOIN clean.charge g ON g.number = clean.number_of(a.key)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = g.order_id
JOIN public."order" o ON o.id = i.shop_id
JOIN public.order_line_item li ON li.id = clean.make_id('ordli', g.number)
CROSS JOIN LATERAL (
    SELECT least(g.quantity, coalesce(sum(s.sent), 0)) AS sent, least(g.quantity, coalesce(sum(s.arrived), 0)) AS arrived
    FROM clean.sent s
    WHERE s.order_id = g.order_id AND s.number = g.number
) q;

-- lineage: identity.order
SELECT clean.make_id('orditem', g.number) FROM changed c JOIN clean.charge g ON g.order_id = c.legacy_key;

-- lineage: public.order
SELECT clean.make_id('orditem', g.number)
FROM changed c
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id
JOIN clean.charge g ON g.order_id = i.legacy_key;
