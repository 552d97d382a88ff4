-- finding: loyalty accounts whose points are not the sum of their log
-- subject: legacy loyalty_accounts.points
-- severity: warning
-- consequence: the customer keeps what was shown; the difference becomes an adjustment entry that says so
-- remedy: know why, for somebody will ask; mend the log in legacy and the adjustment goes away
SELECT a.id::text AS key, (coalesce(a.points, 0) - l.points)::text AS example
FROM loyalty_accounts a
CROSS JOIN LATERAL (SELECT coalesce(sum(CASE WHEN upper(t.kind) = 'E' THEN abs(t.points) ELSE -abs(t.points) END), 0) AS points
                    FROM loyalty_log t WHERE t.account_id = a.id) l
WHERE coalesce(a.points, 0) <> l.points
ORDER BY a.id;
