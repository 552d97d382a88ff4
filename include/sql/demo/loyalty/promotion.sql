-- entity: shop.promotion
-- key:    id
-- scope:  id
-- source: legacy.promotions(id), legacy.promotions
-- counts: legacy.promotions(id) as id
-- index:  legacy.promotions(upper(btrim(code)))
-- standardize: currency legacy.promotions (currency)
-- standardize: date legacy.promotions (valid_from)
-- standardize: date legacy.promotions (valid_to)
-- Promotions, one for each code: case does not make two, and of those that were given out again the newest has the code. A date
-- that cannot be read is not taken for none: a promotion without an end is money. One from 2035 on is none.
WITH word(written, kind) AS (VALUES
    ('P', 'percent'), ('%', 'percent'), ('PROC', 'percent'), ('PROCENT', 'percent'), ('PERCENT', 'percent'),
    ('K', 'amount'), ('A', 'amount'), ('KWOTA', 'amount'), ('AMOUNT', 'amount'), ('ZŁ', 'amount'), ('ZL', 'amount')
), promotion AS (
    SELECT p.*, k.kind AS meant, u.value AS money, round(p.value, 2) AS off,
           CASE WHEN round(p.min_order, 2) > 0 THEN round(p.min_order, 2) END AS least_order,
           f.value::date AS first_day, l.value::date AS last_day, f.problem AS first_problem, l.problem AS last_problem,
           btrim(p.code) <> '' AND EXISTS (
               SELECT FROM legacy.promotions n WHERE upper(btrim(n.code)) = upper(btrim(p.code)) AND n.id > p.id) AS given_again
    FROM affected a
    JOIN legacy.promotions p ON p.id = a.key
    LEFT JOIN word k ON k.written = upper(btrim(p.kind, ' .'))
    LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = p.currency
    LEFT JOIN ferry.standardized f ON f.kind = 'date' AND f.raw = p.valid_from
    LEFT JOIN ferry.standardized l ON l.kind = 'date' AND l.raw = p.valid_to
)
SELECT p.id::bigint AS id,
       upper(btrim(p.code)) AS code,
       p.meant::shop.promotion_kind AS kind,
       p.off AS value,
       p.money AS currency,
       p.least_order AS min_order,
       p.first_day AS valid_from,
       p.last_day AS valid_to,
       upper(p.once) IN ('T', 'Y', '1') IS TRUE AS once_per_customer,
       upper(p.active) IN ('N', '0') IS NOT TRUE AS active,
       CASE WHEN p.max_uses > 0 THEN p.max_uses END AS max_uses,
       coalesce(p.used, 0) AS uses,
       CASE WHEN p.given_again THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN btrim(coalesce(p.code, '')) = '' THEN 'code_missing' END,
           CASE WHEN p.meant IS NULL THEN 'promotion_kind_unknown' END,
           CASE WHEN p.off IS NULL THEN 'value_missing' WHEN 'NaN' IN (p.off, p.least_order) THEN 'value_not_a_number'
                WHEN p.off <= 0 THEN 'value_not_positive' WHEN p.meant = 'percent' AND p.off > 100 THEN 'value_over_100_percent' END,
           CASE WHEN p.money IS NULL AND (p.meant = 'amount' OR p.least_order IS NOT NULL) THEN 'currency_unknown' END,
           CASE WHEN p.first_problem IN ('date_invalid', 'date_implausible') THEN 'start_invalid' END,
           CASE WHEN p.last_problem IN ('date_invalid', 'date_implausible') THEN 'end_invalid'
                WHEN p.last_day < p.first_day THEN 'validity_backwards' END,
           CASE WHEN p.used < 0 THEN 'uses_negative' END
       ], NULL) END AS problems,
       CASE WHEN p.given_again THEN 'promotion_superseded' END AS left_out
FROM promotion p;

-- lineage: legacy.promotions
SELECT n.id FROM changed c JOIN legacy.promotions n ON upper(btrim(n.code)) = upper(btrim(c.code));
