-- entity: public.order_summary
-- key:    id
-- scope:  id
-- source: legacy.order_order(clean.make_id('ordsum', id)), identity.order, public.order
-- source: clean.bill(clean.make_id('ordsum', id)), clean.movement(clean.make_id('ordsum', order_id))
-- What was paid, went back and is due, in the names that Medusa reads, each as number and as text.
SELECT a.key AS id,
       o.id AS order_id,
       o.version,
       (SELECT jsonb_object_agg(t.name, trim_scale(t.amount)) || jsonb_object_agg('raw_' || t.name, clean.big(t.amount))
        FROM (VALUES ('original_order_total', b.total), ('current_order_total', b.total), ('accounting_total', b.total),
                     ('transaction_total', m.paid - m.refunded), ('paid_total', m.paid), ('refunded_total', m.refunded),
                     ('credit_line_total', 0), ('pending_difference', b.total - m.paid + m.refunded)) t (name, amount)) AS totals,
       o.created_at,
       greatest(o.created_at, m.last) AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = clean.number_of(a.key)
JOIN public."order" o ON o.id = i.shop_id
JOIN clean.bill b ON b.id = i.legacy_key
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.kind = 'capture'), 0) AS paid,
           coalesce(sum(x.amount) FILTER (WHERE x.kind = 'refund'), 0) AS refunded,
           max(x.moved_at) AS last
    FROM clean.movement x
    WHERE x.order_id = i.legacy_key
) m;

-- lineage: identity.order
SELECT clean.make_id('ordsum', c.legacy_key) FROM changed c;

-- lineage: public.order
SELECT clean.make_id('ordsum', i.legacy_key) FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id;
