-- check:    every order comes to the same total in Oscar and as Medusa works it out, to the minor unit, but for the difference stated
-- severity: error
-- phase:    orders
-- target:   public.order
-- remedy:   merge the order named anew
-- As Medusa's own code does it: lines less discounts; shipping less its discount, to which tax is added.
WITH lines AS (
    SELECT q.order_id, sum((l.raw_unit_price->>'value')::numeric * (q.raw_quantity->>'value')::numeric - a.amount) AS total
    FROM public."order" o
    JOIN public.order_item q ON q.order_id = o.id AND q.version = o.version
    JOIN public.order_line_item l ON l.id = q.item_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((x.raw_amount->>'value')::numeric), 0) AS amount
        FROM public.order_line_item_adjustment x
        WHERE x.item_id = l.id AND x.version = o.version
    ) a
    GROUP BY q.order_id
), shipped AS (
    SELECT s.order_id, sum((m.raw_amount->>'value')::numeric - a.amount * (1 + r.rate / 100)) AS total
    FROM public."order" o
    JOIN public.order_shipping s ON s.order_id = o.id AND s.version = o.version
    JOIN public.order_shipping_method m ON m.id = s.shipping_method_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((x.raw_amount->>'value')::numeric), 0) AS amount
        FROM public.order_shipping_method_adjustment x
        WHERE x.shipping_method_id = m.id AND x.version = o.version
    ) a
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((x.raw_rate->>'value')::numeric), 0) AS rate
        FROM public.order_shipping_method_tax_line x
        WHERE x.shipping_method_id = m.id
    ) r
    GROUP BY s.order_id
)
SELECT n.id AS key, format('Oscar %s, Medusa %s, difference stated %s', o.total_incl_tax, w.total, w.stated) AS found
FROM public."order" n
JOIN legacy.order_order o ON o.id = (n.metadata->'legacy'->>'id')::integer
LEFT JOIN lines l ON l.order_id = n.id
LEFT JOIN shipped s ON s.order_id = n.id
CROSS JOIN LATERAL (
    SELECT round(coalesce(l.total, 0) + coalesce(s.total, 0), 2) AS total,
           coalesce((n.metadata->'legacy'->>'total_difference')::numeric, 0) AS stated
) w
WHERE o.total_incl_tax <> w.total + w.stated;
