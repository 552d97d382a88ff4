-- check:    consents are as many on both sides, per purpose and state
-- severity: error
-- phase:    contacts
-- target:   shop.consent
-- remedy:   see which consents differ (`shopferry verify contacts`), merge them anew
-- Legacy's side: each declaration that is neither in quarantine nor left out (another one of that person decides) counts
-- with the state that its own proof gives it; the newsletter flag counts once a person. Consents given here are not looked at.
WITH declared AS (
    SELECT 'marketing' AS purpose,
           CASE WHEN s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') THEN 'withdrawn'
                WHEN upper(s.granted) IN ('T', 'Y', '1') AND w.value IS NOT NULL
                     AND s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01' THEN 'granted'
                ELSE 'unproven' END AS state
    FROM legacy.consents s
    LEFT JOIN ferry.standardized w ON w.kind = 'text' AND w.raw = s.wording
    WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.consent' AND q.row_key = s.id::text)
      AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.consent' AND l.row_key = s.id::text)
), flagged AS (
    SELECT c.id,
           bool_or(upper(a.newsletter) IN ('N', '0')) AS refused
    FROM legacy.customers a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = a.id
    JOIN shop.customer c ON c.id = i.shop_key
    LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = a.newsletter_date
    WHERE upper(a.deleted) IN ('T', 'Y', '1') IS NOT TRUE
      AND (upper(a.newsletter) IN ('T', 'Y', '1')
           OR (upper(a.newsletter) IN ('N', '0') AND btrim(a.newsletter_date) <> ''
               AND d.problem IS DISTINCT FROM 'date_missing'))
      -- whom the shop's own constraints refuse has all consents in quarantine, those from the flag too
      AND NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.consent' AND q.key = c.id::text
                                                       AND q.sqlstate IS NOT NULL)
    GROUP BY c.id
), legacy_side AS (
    SELECT purpose, state, count(*) AS n FROM declared GROUP BY purpose, state
    UNION ALL
    SELECT 'newsletter',
           CASE WHEN f.refused OR m.state = 'withdrawn' THEN 'withdrawn' ELSE 'unproven' END,
           count(*)
    FROM flagged f
    LEFT JOIN shop.consent m ON m.customer_id = f.id AND m.purpose = 'marketing' AND m.channel = 'email'
                            AND m.legacy_consent_id IS NOT NULL
    GROUP BY 1, 2
), shop_side AS (
    SELECT s.purpose::text AS purpose, s.state::text AS state, count(*) AS n
    FROM shop.consent s
    WHERE s.legacy_customer_id IS NOT NULL
    GROUP BY 1, 2
)
SELECT purpose || '/' || state AS key,
       format('legacy %s, shop %s', coalesce(o.n, 0), coalesce(n.n, 0)) AS found
FROM legacy_side o
FULL JOIN shop_side n USING (purpose, state)
WHERE o.n IS DISTINCT FROM n.n
ORDER BY key;
