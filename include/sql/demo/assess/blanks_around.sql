-- finding: e-mails, telephones and logins with blanks around them
-- subject: legacy customers
-- severity: note
-- consequence: who compares them as they are takes one person for two; the mappings trim them
-- remedy: nothing
SELECT c.id::text AS key, v.value AS example
FROM customers c
CROSS JOIN LATERAL (VALUES (c.email), (c.phone), (c.login)) AS v (value)
WHERE v.value <> btrim(v.value)
ORDER BY c.id;
