-- pairs: accounts of one family name that live, or have lived, in one house
-- owner: Customer care
-- most:  8
WITH place AS (
    SELECT c.id AS key, c.full_name, coalesce(c.bill_country, '') || '|' || c.bill_postcode AS postcode, c.bill_street AS street
    FROM legacy.customers c
    UNION ALL
    SELECT c.id, c.full_name, coalesce(d.country, '') || '|' || d.postcode, d.street
    FROM legacy.addresses d
    JOIN legacy.customers c ON c.id = d.customer_id
    WHERE upper(d.deleted) IN ('T', 'Y', '1') IS NOT TRUE
)
SELECT DISTINCT z.value || '|' || k.street || '|' || lower(f.value) AS block, p.key
FROM place p
JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = p.postcode
JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = p.street
JOIN ferry.standardized f ON f.kind = 'family_name' AND f.raw = p.full_name
-- The street without what is written now and then: ul., blanks, points, m. before a flat.
CROSS JOIN LATERAL (
    SELECT regexp_replace(lower(s.value), '\m(ul|ulica|al|aleja|aleje|os|osiedle|pl|plac|m|lok|nr)\M|[^[:alnum:]]', '', 'g') AS street
) k
WHERE k.street <> '' AND z.value IS NOT NULL AND f.value IS NOT NULL;
