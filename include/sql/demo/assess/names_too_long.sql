-- finding: full names of more than 100 characters
-- subject: legacy customers.full_name
-- severity: warning
-- consequence: where a given or family name is longer than 100, the customer goes to quarantine as name_too_long
-- remedy: shorten them in legacy
SELECT c.id::text AS key, c.full_name AS example
FROM customers c
WHERE length(c.full_name) > 100
ORDER BY c.id;
