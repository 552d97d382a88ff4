-- entity: public.payment
-- key:    id
-- scope:  id
-- source: legacy.payment_source(clean.make_id('pay', id)), legacy.payment_sourcetype, clean.movement(clean.make_id('pay', source_id))
-- source: public.payment_collection, public.payment_session(clean.make_id('pay', clean.number_of(id))), ferry.setting
-- index:  legacy.payment_source(order_id)
-- counts: legacy.payment_source(id) as clean.number_of(id)::integer
-- index:  legacy.payment_source(source_type_id)
-- How an order was paid. The provider moves no money: what Oscar calls the source, and its reference, stand in metadata.
SELECT a.key AS id,
       p.id AS payment_collection_id,
       z.id AS payment_session_id,
       lower(btrim(s.currency)) AS currency_code,
       greatest(s.amount_allocated, s.amount_debited) AS amount,
       clean.big(greatest(s.amount_allocated, s.amount_debited)) AS raw_amount,
       (SELECT value FROM ferry.setting WHERE name = 'payment_provider') AS provider_id,
       '{}'::jsonb AS data,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object(
           'id', s.id, 'source', t.name, 'reference', nullif(s.reference, ''), 'label', nullif(s.label, '')))) AS metadata,
       m.first AS captured_at,
       p.created_at,
       greatest(p.created_at, m.last) AS updated_at,
       CASE WHEN p.id IS NULL THEN ARRAY['order_quarantined'] ELSE '{}' END AS problems
FROM affected a
JOIN legacy.payment_source s ON s.id = clean.number_of(a.key)
LEFT JOIN legacy.payment_sourcetype t ON t.id = s.source_type_id
LEFT JOIN public.payment_collection p ON p.id = clean.make_id('pay_col', s.order_id)
LEFT JOIN public.payment_session z ON z.id = clean.make_id('payses', s.id)
CROSS JOIN LATERAL (
    SELECT min(x.moved_at) FILTER (WHERE x.kind = 'capture') AS first, max(x.moved_at) AS last
    FROM clean.movement x
    WHERE x.order_id = s.order_id AND x.source_id = s.id
) m;

-- lineage: legacy.payment_sourcetype
SELECT clean.make_id('pay', s.id) FROM changed c JOIN legacy.payment_source s ON s.source_type_id = c.id;

-- lineage: public.payment_collection
SELECT clean.make_id('pay', s.id) FROM changed c JOIN legacy.payment_source s ON s.order_id = clean.number_of(c.id);
