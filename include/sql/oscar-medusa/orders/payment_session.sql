-- entity: public.payment_session
-- key:    id
-- scope:  id
-- source: legacy.payment_source(clean.make_id('payses', id)), public.payment_collection, ferry.setting
-- index:  legacy.payment_source(order_id)
-- A payment needs a session in Medusa; nothing else is known of it.
SELECT a.key AS id,
       p.id AS payment_collection_id,
       lower(btrim(s.currency)) AS currency_code,
       greatest(s.amount_allocated, s.amount_debited) AS amount,
       clean.big(greatest(s.amount_allocated, s.amount_debited)) AS raw_amount,
       (SELECT value FROM ferry.setting WHERE name = 'payment_provider') AS provider_id,
       '{}'::jsonb AS data,
       '{}'::jsonb AS context,
       CASE WHEN s.amount_debited > 0 THEN 'captured' ELSE 'authorized' END AS status,
       p.created_at AS authorized_at,
       p.created_at,
       p.created_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.payment_source s ON s.id = clean.number_of(a.key)
JOIN public.payment_collection p ON p.id = clean.make_id('pay_col', s.order_id);

-- lineage: public.payment_collection
SELECT clean.make_id('payses', s.id) FROM changed c JOIN legacy.payment_source s ON s.order_id = clean.number_of(c.id);
