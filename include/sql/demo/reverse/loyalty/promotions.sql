-- entity: public.promotions
-- key:    id
-- scope:  id
-- source: shop.promotion(id)
-- Promotions, in the words of the old shop where these still mean the same.
WITH word(written, kind) AS (VALUES
    ('P', 'percent'), ('%', 'percent'), ('PROC', 'percent'), ('PROCENT', 'percent'), ('PERCENT', 'percent'),
    ('K', 'amount'), ('A', 'amount'), ('KWOTA', 'amount'), ('AMOUNT', 'amount'), ('ZŁ', 'amount'), ('ZL', 'amount')
)
SELECT p.id,
       CASE WHEN upper(btrim(l.code)) = p.code THEN l.code ELSE p.code END AS code,
       CASE WHEN k.kind = p.kind::text THEN l.kind ELSE p.kind::text END AS kind,
       CASE WHEN round(l.value, 2) = p.value THEN l.value ELSE p.value END AS value,
       CASE WHEN l.id IS NOT NULL AND (l.currency IS NULL OR u.raw IS NOT NULL) AND u.value IS NOT DISTINCT FROM p.currency
            THEN l.currency ELSE p.currency END AS currency,
       CASE WHEN l.id IS NOT NULL AND CASE WHEN round(l.min_order, 2) > 0 THEN round(l.min_order, 2) END IS NOT DISTINCT FROM p.min_order
            THEN l.min_order ELSE coalesce(p.min_order, 0) END AS min_order,
       CASE WHEN l.id IS NOT NULL AND (l.valid_from IS NULL OR f.raw IS NOT NULL) AND f.value::date IS NOT DISTINCT FROM p.valid_from
            THEN l.valid_from ELSE p.valid_from::text END AS valid_from,
       CASE WHEN l.id IS NOT NULL AND (l.valid_to IS NULL OR t.raw IS NOT NULL) AND t.value::date IS NOT DISTINCT FROM p.valid_to
            THEN l.valid_to ELSE p.valid_to::text END AS valid_to,
       CASE WHEN l.id IS NOT NULL AND (upper(l.once) IN ('T', 'Y', '1') IS TRUE) = p.once_per_customer THEN l.once
            WHEN p.once_per_customer THEN 'T' ELSE 'N' END AS once,
       CASE WHEN l.id IS NOT NULL AND (upper(l.active) IN ('N', '0') IS NOT TRUE) = p.active THEN l.active
            WHEN p.active THEN 'T' ELSE 'N' END AS active,
       CASE WHEN l.id IS NOT NULL AND CASE WHEN l.max_uses > 0 THEN l.max_uses END IS NOT DISTINCT FROM p.max_uses THEN l.max_uses
            ELSE coalesce(p.max_uses, 0) END AS max_uses,
       CASE WHEN l.id IS NOT NULL AND coalesce(l.used, 0) = p.uses THEN l.used ELSE p.uses END AS used,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.promotion p ON p.id = a.key
LEFT JOIN public.promotions l ON l.id = p.id
LEFT JOIN word k ON k.written = upper(btrim(l.kind, ' .'))
LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = l.currency
LEFT JOIN ferry.standardized f ON f.kind = 'date' AND f.raw = l.valid_from
LEFT JOIN ferry.standardized t ON t.kind = 'date' AND t.raw = l.valid_to;
