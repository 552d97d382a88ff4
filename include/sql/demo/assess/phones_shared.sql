-- finding: customers who share a telephone number with another
-- subject: legacy customers.phone
-- severity: note
-- consequence: nothing is merged by telephone; a message to such a number reaches somebody else as well
-- remedy: nothing for the move; do not use these numbers to prove who somebody is
SELECT min(c.id)::text || '…' AS key, min(c.phone) AS example, count(*) AS rows
FROM customers c
WHERE length(regexp_replace(c.phone, '\D', '', 'g')) >= 7
GROUP BY right(regexp_replace(c.phone, '\D', '', 'g'), 9)
HAVING count(*) > 1
ORDER BY count(*) DESC, min(c.id);
