-- pairs: accounts that have had one number
-- owner: Customer care
-- most:  8
-- A number of more accounts than this is a company's, or one that was typed where none was wanted.
SELECT p.value AS block, c.id AS key
FROM legacy.customers c
JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(c.bill_country, '') || '|' || c.phone
UNION
SELECT p.value, d.customer_id
FROM legacy.addresses d
JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(d.country, '') || '|' || d.phone
WHERE upper(d.deleted) IN ('T', 'Y', '1') IS NOT TRUE;
