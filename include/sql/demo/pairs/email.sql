-- pairs: accounts whose e-mails differ in dots, in a tag after +, or in the domain
-- owner: Customer care
-- most:  12
-- A name before the @ that more accounts have than this is a common one, or none: info, kontakt.
SELECT k.name AS block, c.id AS key
FROM legacy.customers c
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
CROSS JOIN LATERAL (SELECT replace(split_part(split_part(e.value, '@', 1), '+', 1), '.', '') AS name) k
WHERE length(k.name) >= 5;
