-- entity: public.payment_collection
-- key:    id
-- scope:  id
-- source: legacy.order_order(clean.make_id('pay_col', id)), legacy.payment_source(clean.make_id('pay_col', order_id))
-- source: clean.movement(clean.make_id('pay_col', order_id)), identity.order, public.order
-- What an order was to bring and has brought; Medusa works out from it whether it is paid.
SELECT a.key AS id,
       lower(btrim(o.currency)) AS currency_code,
       o.total_incl_tax AS amount, clean.big(o.total_incl_tax) AS raw_amount,
       p.allocated AS authorized_amount, clean.big(p.allocated) AS raw_authorized_amount,
       p.captured AS captured_amount, clean.big(p.captured) AS raw_captured_amount,
       p.refunded AS refunded_amount, clean.big(p.refunded) AS raw_refunded_amount,
       CASE WHEN p.captured >= o.total_incl_tax AND (p.captured > 0 OR n.status <> 'canceled') THEN 'completed'
            WHEN n.status = 'canceled' AND p.captured = 0 THEN 'canceled'
            WHEN p.captured > 0 THEN 'partially_captured'
            WHEN p.allocated >= o.total_incl_tax THEN 'authorized'
            WHEN p.allocated > 0 THEN 'partially_authorized'
            ELSE 'not_paid' END AS status,
       CASE WHEN p.captured >= o.total_incl_tax THEN coalesce(p.last, o.date_placed) END AS completed_at,
       o.date_placed AS created_at,
       greatest(o.date_placed, p.last) AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_order o ON o.id = clean.number_of(a.key)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id
JOIN public."order" n ON n.id = i.shop_id
CROSS JOIN LATERAL (
    SELECT (SELECT coalesce(sum(greatest(s.amount_allocated, s.amount_debited)), 0) FROM legacy.payment_source s WHERE s.order_id = o.id) AS allocated,
           coalesce(sum(m.amount) FILTER (WHERE m.kind = 'capture'), 0) AS captured,
           coalesce(sum(m.amount) FILTER (WHERE m.kind = 'refund'), 0) AS refunded,
           max(m.moved_at) AS last
    FROM clean.movement m
    WHERE m.order_id = o.id
) p;

-- lineage: identity.order
SELECT clean.make_id('pay_col', c.legacy_key) FROM changed c;

-- lineage: public.order
SELECT clean.make_id('pay_col', i.legacy_key) FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id;
