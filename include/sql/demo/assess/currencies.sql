-- finding: orders, by currency
-- subject: legacy orders.currency
-- severity: note
-- consequence: sums are compared per currency, never across
-- remedy: see that the new shop sells in each of them, or knows them as history
SELECT CASE WHEN upper(btrim(o.currency)) ~ '^[A-Z]{3}$' THEN upper(btrim(o.currency)) ELSE 'no code' END AS key,
       '' AS example, count(*) AS rows
FROM orders o
GROUP BY 1
ORDER BY count(*) DESC, 1;
