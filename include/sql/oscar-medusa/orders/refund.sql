-- entity: public.refund
-- key:    id
-- scope:  payment_id
-- source: legacy.payment_source(clean.make_id('pay', id)), clean.movement(clean.make_id('pay', source_id)), public.payment(id)
-- What went back.
SELECT clean.make_id('ref', m.number) AS id,
       p.id AS payment_id,
       m.amount,
       clean.big(m.amount) AS raw_amount,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object('reference', m.reference))) AS metadata,
       m.moved_at AS created_at,
       m.moved_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public.payment p ON p.id = a.key
JOIN legacy.payment_source s ON s.id = clean.number_of(a.key)
JOIN clean.movement m ON m.order_id = s.order_id AND m.source_id = s.id AND m.kind = 'refund';
