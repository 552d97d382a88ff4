-- entity: public.order_transaction
-- key:    id
-- scope:  id
-- source: legacy.payment_transaction(clean.make_id('ordtrx', id)), legacy.payment_transaction(clean.make_id('ordtrxr', id))
-- source: legacy.payment_source(clean.make_id('ordtrx', clean.second(id))), legacy.payment_source(clean.make_id('ordtrxr', clean.second(id)))
-- source: clean.movement(clean.make_id(CASE kind WHEN 'capture' THEN 'ordtrx' ELSE 'ordtrxr' END, number)), identity.order, public.order
-- source: public.capture(clean.make_id('ordtrx', clean.number_of(id))), public.refund(clean.make_id('ordtrxr', clean.number_of(id)))
-- Of these Medusa works out the summary anew at an order's next change: without them it would be unpaid then.
SELECT a.key AS id,
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
JOIN clean.movement m ON m.kind = CASE WHEN a.key LIKE 'ordtrxr%' THEN 'refund' ELSE 'capture' END AND m.number = clean.number_of(a.key)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = m.order_id
JOIN public."order" o ON o.id = i.shop_id
CROSS JOIN LATERAL (
    SELECT c.id FROM public.capture c WHERE m.kind = 'capture' AND c.id = clean.make_id('capt', m.number)
    UNION ALL
    SELECT f.id FROM public.refund f WHERE m.kind = 'refund' AND f.id = clean.make_id('ref', m.number)
) r;

-- lineage: identity.order
SELECT clean.make_id(CASE m.kind WHEN 'capture' THEN 'ordtrx' ELSE 'ordtrxr' END, m.number)
FROM changed c JOIN clean.movement m ON m.order_id = c.legacy_key;

-- lineage: public.order
SELECT clean.make_id(CASE m.kind WHEN 'capture' THEN 'ordtrx' ELSE 'ordtrxr' END, m.number)
FROM changed c
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id
JOIN clean.movement m ON m.order_id = i.legacy_key;
