-- entity: clean.movement
-- key:    kind, number
-- scope:  order_id
-- source: legacy.order_order(id), legacy.payment_source(order_id), legacy.payment_transaction
-- index:  legacy.payment_transaction(source_id)
-- Money that came in and went back. Oscar keeps sums at the source of a payment, and transactions of which they are made, as long
-- as the shop's code writes both: where the two differ, the sum is what counts, as one movement.
WITH summed AS (
    SELECT o.id AS order_id, o.date_placed, s.id AS source_id, k.kind, k.amount,
           CASE k.kind WHEN 'capture' THEN 'debit' ELSE 'refund' END AS txn_type
    FROM affected a
    JOIN legacy.order_order o ON o.id = a.key
    JOIN legacy.payment_source s ON s.order_id = o.id
    CROSS JOIN LATERAL (VALUES ('capture', s.amount_debited), ('refund', s.amount_refunded)) k (kind, amount)
), compared AS (
    SELECT m.*, (SELECT coalesce(sum(t.amount), 0) FROM legacy.payment_transaction t
                 WHERE t.source_id = m.source_id AND lower(t.txn_type) = m.txn_type) AS noted
    FROM summed m
)
SELECT c.kind, t.id::bigint AS number, c.order_id, c.source_id, t.amount, t.date_created AS moved_at, nullif(t.reference, '') AS reference,
       '{}'::text[] AS problems
FROM compared c
JOIN legacy.payment_transaction t ON t.source_id = c.source_id AND lower(t.txn_type) = c.txn_type
WHERE c.noted = c.amount AND t.amount > 0
UNION ALL
SELECT c.kind, clean.second(c.source_id), c.order_id, c.source_id, c.amount, c.date_placed, NULL, '{}'
FROM compared c
WHERE c.noted <> c.amount AND c.amount > 0;

-- lineage: legacy.payment_transaction
SELECT s.order_id FROM changed c JOIN legacy.payment_source s ON s.id = c.source_id;
