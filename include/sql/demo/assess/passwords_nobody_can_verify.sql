-- finding: passwords that nobody can verify: none at all, a scheme nobody knows, or a plain password
-- subject: legacy customers.pass_hash
-- severity: warning
-- consequence: these customers must set a new password at their next sign-in
-- remedy: prepare the message that tells them, and the number of calls it will cause
SELECT c.id::text AS key, '' AS example
FROM customers c
WHERE btrim(coalesce(c.pass_hash, '')) !~ '^(\$2[abxy]\$[0-9]{2}\$.{53}|\$wp\$2y\$[0-9]{2}\$.{53}|\$[PH]\$.{31}|\$argon2id\$v=[0-9]+\$.*)$'
  AND btrim(coalesce(c.pass_hash, '')) !~* '^([0-9a-f]{32}(:.+)?|[0-9a-f]{64}:.+|[0-9a-f]{40})$'
ORDER BY c.id;
