-- check:    every consent says what a declaration in legacy said, and none is missing
-- severity: error
-- phase:    contacts
-- target:   shop.consent
-- remedy:   see which consents differ (`shopferry verify contacts`), merge them anew
-- First one by one, by the declaration that decides: a yes needs proof, and a no is carried. Where a yes was declared and the new
-- shop says no, an account or guest with that e-mail or number must have refused, or a list of opt-outs must have it. Then in
-- numbers, per purpose. Consents given in the new shop are not looked at.
WITH declared AS (
    SELECT s.id, s.customer_id,
           s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') IS TRUE AS no,
           s.withdrawn_at IS NULL AND upper(s.granted) IN ('T', 'Y', '1') IS TRUE AND w.value IS NOT NULL
               AND s.granted_at BETWEEN '1995-01-01' AND '2034-12-31 23:59:59.999999' IS TRUE AS proven
    FROM legacy.consents s
    LEFT JOIN ferry.standardized w ON w.kind = 'text' AND w.raw = s.wording
), flagged AS (
    SELECT i.shop_key AS customer, bool_or(upper(a.newsletter) IN ('N', '0')) AS no
    FROM legacy.customers a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = a.id
    JOIN shop.customer c ON c.id = i.shop_key
    WHERE upper(a.newsletter) IN ('T', 'Y', '1')
       OR (upper(a.newsletter) IN ('N', '0') AND btrim(a.newsletter_date, ' 0-/.:T') <> '')
    GROUP BY 1
), refusing AS (  -- every e-mail and number that anything was refused for
    SELECT e.value AS email, p.value AS phone
    FROM legacy.customers c
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(c.bill_country, '') || '|' || c.phone
    WHERE EXISTS (SELECT FROM declared d WHERE d.customer_id = c.id AND d.no)
       OR (upper(c.newsletter) IN ('N', '0') AND btrim(c.newsletter_date, ' 0-/.:T') <> '')
    UNION
    SELECT e.value, NULL
    FROM legacy.consents s
    JOIN declared d ON d.id = s.id AND d.no AND d.customer_id <= 0
    JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = s.email
    UNION
    SELECT e.value, p.value  -- opt-outs kept elsewhere
    FROM ferry.optout o
    JOIN ferry.standardized m ON m.kind IN ('email_mark', 'phone_mark') AND m.value = o.mark
    LEFT JOIN ferry.standardized e ON m.kind = 'email_mark' AND e.kind = 'email' AND e.raw = m.raw
    LEFT JOIN ferry.standardized p ON m.kind = 'phone_mark' AND p.kind = 'phone' AND p.raw = m.raw
), told AS (
    SELECT s.customer_id, s.purpose, s.channel, s.state, s.legacy_consent_id, c.email, c.phone
    FROM shop.consent s
    JOIN shop.customer c ON c.id = s.customer_id
    WHERE s.legacy_customer_id IS NOT NULL
), one_by_one AS (
    SELECT concat_ws('/', t.customer_id, t.purpose, t.channel) AS key,
           CASE WHEN t.purpose = 'newsletter' AND t.state = 'granted' THEN 'a flag is no proof'
                WHEN t.purpose = 'newsletter' THEN CASE WHEN f.customer IS NULL THEN 'no account has that flag'
                                                        WHEN f.no AND t.state <> 'withdrawn' THEN 'the flag says no' END
                WHEN d.id IS NULL THEN 'no declaration decides it'
                WHEN d.no AND t.state <> 'withdrawn' THEN 'the declaration says no'
                WHEN t.state = 'granted' AND NOT d.proven THEN 'the declaration proves nothing'
                WHEN t.state = 'unproven' AND d.proven THEN 'the declaration has proof'
                WHEN t.state = 'withdrawn' AND NOT d.no
                     AND NOT EXISTS (SELECT FROM refusing r WHERE r.email = t.email)
                     AND NOT EXISTS (SELECT FROM refusing r WHERE r.phone = t.phone) THEN 'nobody has refused' END AS found
    FROM told t
    LEFT JOIN declared d ON d.id = t.legacy_consent_id
    LEFT JOIN flagged f ON f.customer = t.customer_id
), in_numbers AS (
    SELECT purpose AS key, format('legacy %s, shop %s', sum(theirs), sum(ours)) AS found
    FROM (
        SELECT 'marketing' AS purpose, 1 AS theirs, 0 AS ours
        FROM declared d
        WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.consent' AND q.row_key = d.id::text)
          AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.consent' AND l.row_key = d.id::text)
        UNION ALL
        SELECT 'newsletter', 1, 0
        FROM flagged f
        -- whom the shop's own constraints refuse has all consents in quarantine, those from the flag too
        WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.consent' AND q.key = f.customer::text
                                                         AND q.sqlstate IS NOT NULL)
        UNION ALL
        SELECT t.purpose::text, 0, 1
        FROM told t
    ) x
    GROUP BY purpose
    HAVING sum(theirs) <> sum(ours)
)
SELECT key, found FROM one_by_one WHERE found IS NOT NULL
UNION ALL
SELECT key, found FROM in_numbers
ORDER BY key;
