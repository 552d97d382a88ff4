-- entity: public.refund
-- key:    id
-- scope:  id
-- source: legacy.payment_transaction(clean.make_id('ref', id)), legacy.payment_source(clean.make_id('ref', clean.second(id)))
-- source: clean.movement(CASE kind WHEN 'refund' THEN clean.make_id('ref', number) END), public.payment
-- What went back.
SELECT a.key AS id,
       p.id AS payment_id,
       m.amount,
       clean.big(m.amount) AS raw_amount,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object('reference', m.reference))) AS metadata,
       m.moved_at AS created_at,
       m.moved_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN clean.movement m ON m.kind = 'refund' AND m.number = clean.number_of(a.key)
JOIN public.payment p ON p.id = clean.make_id('pay', m.source_id);

-- lineage: public.payment
SELECT clean.make_id('ref', m.number)
FROM changed c
JOIN legacy.payment_source s ON s.id = clean.number_of(c.id)
JOIN clean.movement m ON m.order_id = s.order_id AND m.source_id = s.id AND m.kind = 'refund';
