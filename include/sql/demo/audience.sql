-- phase: contacts
-- rules: contacts/consent
-- Who may be written to, by channel: how many said yes in the old shop, what takes them out, and how many are left. Runs in the
-- new shop. Each person counts once for a channel, and is lost by the first of the steps that takes them out. Steps are numbered:
-- 1 is who said yes, 9 who may be written to; what lies between is taken away, but 8, which adds who said yes here.
WITH spelling(written, channel) AS (VALUES
    ('email', 'email'), ('e-mail', 'email'), ('e', 'email'), ('mail', 'email'),
    ('sms', 'sms'), ('s', 'sms'), ('mms', 'sms'),
    ('phone', 'phone'), ('tel', 'phone'), ('t', 'phone'),
    ('post', 'post'), ('p', 'post'), ('poczta', 'post')
), said AS (  -- whom the old shop wrote to: a yes that was not taken back, or a flag, in an account that is not deleted
    SELECT i.shop_key AS person, k.channel
    FROM legacy.consents s
    JOIN legacy.customers c ON c.id = s.customer_id AND upper(c.deleted) IN ('T', 'Y', '1') IS NOT TRUE
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id
    JOIN spelling k ON k.written = lower(btrim(s.channel))
    WHERE upper(s.granted) IN ('T', 'Y', '1') AND s.withdrawn_at IS NULL
    UNION
    SELECT i.shop_key, 'email'
    FROM legacy.customers c
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id
    WHERE upper(c.newsletter) IN ('T', 'Y', '1') AND upper(c.deleted) IN ('T', 'Y', '1') IS NOT TRUE
), may AS (
    SELECT DISTINCT a.customer_id AS person, a.channel::text AS channel FROM shop.audience a
), met AS (
    SELECT coalesce(s.channel, m.channel) AS channel, s.person IS NOT NULL AS said, m.person IS NOT NULL AS may,
           c.id IS NOT NULL AS carried, c.status::text AS status, coalesce(g.state, n.state)::text AS state, coalesce(g.why, n.why) AS why,
           w.wanted IS FALSE AS unwanted, w.frequency = 'never' AS never,
           (g.expires_at <= now()) IS TRUE AS expired
    FROM said s
    FULL JOIN may m ON m.person = s.person AND m.channel = s.channel
    LEFT JOIN shop.customer c ON c.id = s.person
    LEFT JOIN shop.communication_preference w ON w.customer_id = c.id AND w.channel::text = s.channel
    LEFT JOIN shop.consent g ON g.customer_id = c.id AND g.purpose = 'marketing' AND g.channel::text = s.channel
    LEFT JOIN shop.consent n ON n.customer_id = c.id AND n.purpose = 'newsletter' AND n.channel::text = s.channel
), lost AS (
    SELECT channel,
           CASE WHEN NOT carried THEN 2 WHEN state = 'unproven' AND why <> 'consent_not_confirmed' THEN 3
                WHEN state = 'withdrawn' THEN 4 WHEN state = 'unproven' THEN 5 WHEN unwanted THEN 4 WHEN expired THEN 6 ELSE 7 END AS step,
           CASE WHEN NOT carried THEN 'no customer here: in quarantine, or left out'
                WHEN state = 'unproven' AND why <> 'consent_not_confirmed' THEN 'not proven: ' || why
                WHEN state = 'withdrawn' THEN 'refused: ' || why
                WHEN state = 'unproven' THEN 'not confirmed'
                WHEN never THEN 'refused: wants no news'
                WHEN unwanted THEN 'refused: for another purpose'
                WHEN expired THEN 'expired: its text gave it a period'
                WHEN status <> 'active' THEN 'not reachable: blocked'
                WHEN state IS NULL THEN 'not proven: consent_missing'
                ELSE 'not reachable: no address' END AS what
    FROM met
    WHERE said AND NOT may
)
SELECT channel, 1 AS step, 'said yes in the old shop' AS what, count(*) AS people FROM met WHERE said GROUP BY channel
UNION ALL
SELECT channel, step, what, count(*) FROM lost GROUP BY channel, step, what
UNION ALL
SELECT channel, 8, 'said yes in the new shop alone', count(*) FROM met WHERE may AND NOT said GROUP BY channel
UNION ALL
SELECT k.channel, 9, 'may be written to', count(m.person)
FROM (SELECT DISTINCT channel FROM met) k LEFT JOIN may m ON m.channel = k.channel
GROUP BY k.channel
ORDER BY channel, step, people DESC, what;
