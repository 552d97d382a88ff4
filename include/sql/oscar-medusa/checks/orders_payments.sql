-- check:    what came in and went back for each order is what Oscar's payment sources say
-- severity: error
-- phase:    orders
-- target:   public.order
-- remedy:   merge the order named anew
SELECT n.id AS key, format('Oscar %s in, %s back; Medusa %s in, %s back, summary %s', s.debited, s.refunded, t.debited, t.refunded,
                           y.totals->>'transaction_total') AS found
FROM public."order" n
JOIN legacy.order_order o ON o.id = (n.metadata->'legacy'->>'id')::integer
LEFT JOIN public.order_summary y ON y.order_id = n.id AND y.version = n.version
CROSS JOIN LATERAL (
    SELECT coalesce(sum(p.amount_debited), 0) AS debited, coalesce(sum(p.amount_refunded), 0) AS refunded
    FROM legacy.payment_source p
    WHERE p.order_id = o.id
) s
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.amount > 0), 0) AS debited,
           coalesce(-sum(x.amount) FILTER (WHERE x.amount < 0), 0) AS refunded
    FROM public.order_transaction x
    WHERE x.order_id = n.id AND x.version = n.version
) t
WHERE (s.debited, s.refunded) IS DISTINCT FROM (t.debited, t.refunded)
   OR (y.totals->>'transaction_total')::numeric IS DISTINCT FROM t.debited - t.refunded;
