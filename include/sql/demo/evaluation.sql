-- What became of people since the cutover, for `shopferry report --evaluation`: topic, what, and how many people. Runs in the new
-- shop. Who has set a password since is not told from who came with one: the shop's application books no resets.
WITH cutover AS (SELECT changed_at AS at FROM ferry.route WHERE route = 'demo')
SELECT 'refusals since the cutover' AS topic, a.purpose || ' by ' || a.channel || ', ' || a.act AS what,
       count(DISTINCT a.customer_id) AS people
FROM shop.consent_act a, cutover
WHERE a.act IN ('withdrawn', 'objected') AND a.happened_at >= cutover.at
GROUP BY a.purpose, a.channel, a.act
UNION ALL
SELECT 'agreements since the cutover', a.purpose || ' by ' || a.channel, count(DISTINCT a.customer_id)
FROM shop.consent_act a, cutover
WHERE a.act IN ('granted', 'confirmed') AND a.happened_at >= cutover.at
GROUP BY a.purpose, a.channel
UNION ALL
SELECT 'passwords', CASE WHEN p.customer_id IS NULL THEN 'customers who still have to set one' ELSE 'customers who have one' END,
       count(*)
FROM shop.customer c
LEFT JOIN shop.customer_credential p ON p.customer_id = c.id
WHERE c.status = 'active'
GROUP BY p.customer_id IS NULL
ORDER BY topic, what;
