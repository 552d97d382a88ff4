-- title: Orders per currency
-- phase: orders
-- about: What customers were to pay, per currency and never across. Where lines do not add up to it, the order says by how much.

-- name: legacy
-- Orders of Oscar.
SELECT upper(btrim(o.currency)) AS segment, count(*) AS orders, sum(o.total_incl_tax) AS total
FROM order_order o
GROUP BY 1;

-- name: shop
-- Orders of Medusa that came from there.
SELECT upper(o.currency_code) AS segment, count(*) AS orders,
       round(sum((s.totals->>'current_order_total')::numeric
                 + coalesce((o.metadata->'legacy'->>'total_difference')::numeric, 0)), 2) AS total
FROM public."order" o
JOIN public.order_summary s ON s.order_id = o.id AND s.version = o.version
WHERE o.metadata->'legacy' ? 'id'
GROUP BY 1;

-- name: held
-- Orders in quarantine.
SELECT upper(btrim(o.currency)) AS segment, count(*) AS orders, sum(o.total_incl_tax) AS total
FROM legacy.order_order o
JOIN ferry.quarantine q ON q.entity = 'public.order' AND q.row_key = o.id::text
GROUP BY 1;
