-- entity: public.order_summary
-- key:    id
-- scope:  order_id
-- source: identity.order(shop_id), public.order(id), clean.bill, clean.movement
-- What was paid, went back and is due, in the names that Medusa reads, each as number and as text.
SELECT clean.make_id('ordsum', i.legacy_key) AS id,
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
JOIN public."order" o ON o.id = a.key
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN clean.bill b ON b.id = i.legacy_key
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.kind = 'capture'), 0) AS paid,
           coalesce(sum(x.amount) FILTER (WHERE x.kind = 'refund'), 0) AS refunded,
           max(x.moved_at) AS last
    FROM clean.movement x
    WHERE x.order_id = i.legacy_key
) m;

-- lineage: clean.bill
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.id;

-- lineage: clean.movement
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;
