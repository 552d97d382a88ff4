-- entity: public.order_transaction
-- key:    id
-- scope:  order_id
-- source: identity.order(shop_id), public.order(id), clean.movement, public.capture, public.refund
-- Of these Medusa works out the summary anew at an order's next change: without them it would be unpaid then.
SELECT clean.make_id(CASE m.kind WHEN 'capture' THEN 'ordtrx' ELSE 'ordtrxr' END, m.number) AS id,
       o.id AS order_id,
       o.version,
       CASE m.kind WHEN 'capture' THEN m.amount ELSE -m.amount END AS amount,
       clean.big(CASE m.kind WHEN 'capture' THEN m.amount ELSE -m.amount END) AS raw_amount,
       o.currency_code,
       m.kind AS reference,
       r.id AS reference_id,
       m.moved_at AS created_at,
       m.moved_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public."order" o ON o.id = a.key
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN clean.movement m ON m.order_id = i.legacy_key
CROSS JOIN LATERAL (
    SELECT c.id FROM public.capture c WHERE m.kind = 'capture' AND c.id = clean.make_id('capt', m.number)
    UNION ALL
    SELECT f.id FROM public.refund f WHERE m.kind = 'refund' AND f.id = clean.make_id('ref', m.number)
) r;

-- lineage: clean.movement
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;

-- lineage: public.capture
SELECT i.shop_id
FROM changed c
JOIN clean.movement m ON m.kind = 'capture' AND m.number = clean.number_of(c.id)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = m.order_id;

-- lineage: public.refund
SELECT i.shop_id
FROM changed c
JOIN clean.movement m ON m.kind = 'refund' AND m.number = clean.number_of(c.id)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = m.order_id;
