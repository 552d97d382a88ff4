-- finding: codes of promotions that were given out again
-- subject: legacy promotions.code
-- severity: note
-- consequence: the newest promotion has the code; the older ones are left out
-- remedy: look whether an older one is still running
SELECT upper(btrim(code)) AS key, min(code) AS example, count(*) - 1 AS rows
FROM promotions
WHERE btrim(code) <> ''
GROUP BY 1
HAVING count(*) > 1
ORDER BY 1;
