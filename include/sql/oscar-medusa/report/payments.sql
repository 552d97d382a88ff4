-- title: Payments per currency
-- phase: orders
-- about: What came in and what went back, by the currency of the payment.

-- name: legacy
-- What Oscar's sources of payment say.
SELECT upper(btrim(s.currency)) AS segment, sum(s.amount_debited) AS captured, sum(s.amount_refunded) AS refunded
FROM payment_source s
GROUP BY 1;

-- name: shop
-- Captures and refunds of payments that came from there.
SELECT upper(p.currency_code) AS segment, sum(c.amount) AS captured, sum(r.amount) AS refunded
FROM public.payment p
CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS amount FROM public.capture x WHERE x.payment_id = p.id) c
CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS amount FROM public.refund x WHERE x.payment_id = p.id) r
WHERE p.metadata->'legacy' ? 'id'
GROUP BY 1;

-- name: held
-- Payments of orders in quarantine.
SELECT upper(btrim(s.currency)) AS segment, sum(s.amount_debited) AS captured, sum(s.amount_refunded) AS refunded
FROM legacy.payment_source s
JOIN ferry.quarantine q ON q.entity = 'public.payment' AND q.row_key = s.id::text
GROUP BY 1;
