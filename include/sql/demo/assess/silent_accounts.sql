-- finding: accounts without a sign of life for more than three years and with nothing open, by the year in which they were last seen
-- subject: legacy customers.last_login
-- severity: note
-- consequence: they move like all others, unless somebody decides otherwise
-- remedy: decide by name whether those of before some day stay behind: `[retention] inactive_since` in route.toml
WITH sign(id, email, at, unsettled) AS (
    SELECT c.id, c.email, x.at, false FROM customers c CROSS JOIN LATERAL (VALUES (c.created_at), (c.last_login)) x (at)
    UNION ALL
    SELECT c.id, c.email, o.created_at,
           upper(btrim(o.status_code)) IN ('DONE', '5', 'D', 'DELIVERED', 'COMPLETED', 'CANC', '6', 'C', 'CANCELED', 'CANCELLED',
                                           'REFUND', '8', 'REFUNDED') IS NOT TRUE
    FROM customers c JOIN orders o ON o.customer_id = c.id
    UNION ALL
    SELECT c.id, c.email, x.at, false
    FROM customers c JOIN consents s ON s.customer_id = c.id
    CROSS JOIN LATERAL (VALUES (s.granted_at), (s.confirmed_at), (s.withdrawn_at)) x (at)
    UNION ALL
    SELECT c.id, c.email, l.created_at, coalesce(l.points, 0) <> 0 FROM customers c JOIN loyalty_accounts l ON l.customer_id = c.id
    UNION ALL
    SELECT c.id, c.email, r.created_at, false
    FROM customers c JOIN loyalty_accounts l ON l.customer_id = c.id JOIN loyalty_redemptions r ON r.account_id = l.id
    UNION ALL
    SELECT c.id, c.email, x.at, upper(r.state) IN ('W', 'X', 'A') IS NOT TRUE AND r.taken_at IS NULL
    FROM customers c JOIN loyalty_rewards r ON r.customer_id = c.id CROSS JOIN LATERAL (VALUES (r.earned_at), (r.taken_at)) x (at)
), silent AS (  -- of all accounts with one e-mail the last sign counts
    SELECT max(g.at) FILTER (WHERE g.at >= '1995-01-01') AS at, count(DISTINCT g.id) FILTER (WHERE upper(c.deleted) IN ('T', 'Y', '1') IS NOT TRUE) AS accounts
    FROM sign g
    JOIN customers c ON c.id = g.id
    GROUP BY coalesce(nullif(lower(btrim(g.email)), ''), g.id::text)
    HAVING NOT bool_or(g.unsettled)
)
SELECT 'last seen in ' || extract(year FROM s.at) AS key, '' AS example, sum(s.accounts) AS rows
FROM silent s
WHERE s.at < now() - interval '3 years' AND s.accounts > 0
GROUP BY extract(year FROM s.at)
ORDER BY extract(year FROM s.at);
