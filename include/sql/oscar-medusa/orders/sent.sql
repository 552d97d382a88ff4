-- entity: clean.sent
-- key:    event_id, number
-- scope:  order_id
-- source: legacy.order_shippingevent(order_id), legacy.order_shippingeventtype, legacy.order_shippingeventquantity, ferry.setting
-- index:  legacy.order_shippingevent(event_type_id)
-- index:  legacy.order_shippingeventquantity(event_id)
-- Which pieces of which line were sent or arrived by which shipping event; what such an event means is the shop's own word.
SELECT q.event_id,
       q.line_id::bigint AS number,
       e.order_id,
       k.kind,
       e.date_created AS happened_at,
       CASE WHEN k.kind = 'shipped' THEN q.quantity ELSE 0 END AS sent,
       CASE WHEN k.kind = 'delivered' THEN q.quantity ELSE 0 END AS arrived,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_shippingevent e ON e.order_id = a.key
JOIN legacy.order_shippingeventtype t ON t.id = e.event_type_id
JOIN legacy.order_shippingeventquantity q ON q.event_id = e.id
CROSS JOIN LATERAL (
    SELECT clean.look_up((SELECT value FROM ferry.setting WHERE name = 'shipping_events'), t.code) AS kind
) k
WHERE k.kind IN ('shipped', 'delivered');

-- lineage: legacy.order_shippingeventtype
SELECT e.order_id FROM changed c JOIN legacy.order_shippingevent e ON e.event_type_id = c.id;

-- lineage: legacy.order_shippingeventquantity
SELECT e.order_id FROM changed c JOIN legacy.order_shippingevent e ON e.id = c.event_id;
