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
           s.withdrawn_at IS NULL AND upper(s.granted) IN ('T', 'Y', '1') IS TRUE
               AND s.granted_at BETWEEN '1995-01-01' AND '2034-12-31 23:59:59.999999' IS TRUE
               AND EXISTS (SELECT FROM legacy.consent_texts x
                           JOIN ferry.standardized w ON w.kind = 'text' AND w.raw = s.wording AND w.value = btrim(x.version)
                           WHERE upper(x.usable) IN ('T', 'Y', '1') AND x.purposes ~* 'marketing'
                             AND daterange(x.valid_from, x.valid_to, '[]') @> s.granted_at::date
                             AND (s.confirmed_at IS NOT NULL OR upper(x.double_opt_in) IN ('T', 'Y', '1') IS NOT TRUE)
                             AND x.channels ~* CASE lower(left(btrim(s.channel), 2)) WHEN 'sm' THEN 'sms' WHEN 's' THEN 'sms'
                                     WHEN 'mm' THEN 'sms' WHEN 'ph' THEN 'phone' WHEN 'te' THEN 'phone' WHEN 't' THEN 'phone'
                                     WHEN 'p' THEN 'post' WHEN 'po' THEN 'post' ELSE 'email' END) AS proven,
           (SELECT min(b._known) FROM ferry.witness_consents b
            WHERE b.id = s.id AND b.granted_at IS NOT DISTINCT FROM s.granted_at) AS known, s.granted_at,
           (SELECT e.value FROM ferry.standardized e WHERE e.kind = 'email' AND e.raw = s.email) AS named
    FROM legacy.consents s
), lived AS (  -- the e-mails and numbers that accounts have had, and until when
    SELECT w.id AS account, e.value AS email, p.value AS phone, w._known AS since,
           lead(w._known, 1, 'infinity') OVER (PARTITION BY w.id ORDER BY w._known, w._lsn) AS until,
           first_value(e.value) OVER (PARTITION BY w.id ORDER BY w._known DESC, w._lsn DESC) AS email_now,
           first_value(p.value) OVER (PARTITION BY w.id ORDER BY w._known DESC, w._lsn DESC) AS phone_now,
           row_number() OVER (PARTITION BY w.id ORDER BY w._known, w._lsn) = 1 AS first
    FROM ferry.witness_customers w
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = w.email
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(w.bill_country, '') || '|' || w.phone
    WHERE NOT w._gone
), flagged AS (
    SELECT i.shop_key AS customer, bool_or(upper(a.newsletter) IN ('N', '0')) AS no
    FROM legacy.customers a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = a.id
    JOIN shop.customer c ON c.id = i.shop_key
    WHERE upper(a.deleted) IN ('T', 'Y', '1') IS NOT TRUE  -- who is deleted may still stand there, for an order's sake
      AND (upper(a.newsletter) IN ('T', 'Y', '1')
           OR (upper(a.newsletter) IN ('N', '0') AND btrim(a.newsletter_date, ' 0-/.:T') <> ''))
    GROUP BY 1
), refusing AS (  -- every e-mail and number that anything was refused for: all that a refusing account has ever had
    SELECT e.value AS email, p.value AS phone
    FROM (
        SELECT c.id, c.email, coalesce(c.bill_country, '') || '|' || c.phone AS number, c.newsletter, c.newsletter_date
        FROM legacy.customers c
        UNION
        SELECT w.id, w.email, coalesce(w.bill_country, '') || '|' || w.phone, w.newsletter, w.newsletter_date
        FROM ferry.witness_customers w
    ) c
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = c.number
    WHERE EXISTS (SELECT FROM declared d WHERE d.customer_id = c.id AND d.no)
       OR EXISTS (SELECT FROM ferry.witness_consents w WHERE w.customer_id = c.id
                  AND (w.withdrawn_at IS NOT NULL OR upper(w.granted) IN ('N', '0', 'F')))
       OR EXISTS (SELECT FROM ferry.witness_customers w WHERE w.id = c.id
                  AND upper(w.newsletter) IN ('N', '0') AND btrim(w.newsletter_date, ' 0-/.:T') <> '')
       OR (upper(c.newsletter) IN ('N', '0') AND btrim(c.newsletter_date, ' 0-/.:T') <> '')
    UNION
    SELECT e.value, NULL
    FROM (
        SELECT s.email FROM legacy.consents s JOIN declared d ON d.id = s.id AND d.no
        UNION
        SELECT w.email FROM ferry.witness_consents w
        WHERE w.withdrawn_at IS NOT NULL OR upper(w.granted) IN ('N', '0', 'F')
    ) s
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
                WHEN t.state = 'granted' AND d.granted_at > d.known AT TIME ZONE 'Europe/Warsaw' + interval '25 hours'
                THEN 'it was given after it was written'
                WHEN t.state = 'granted' AND a.moved THEN 'it was given for another address'
                WHEN t.state = 'unproven' AND d.proven AND NOT a.moved
                     AND d.granted_at < d.known AT TIME ZONE 'Europe/Warsaw' + interval '23 hours' THEN 'the declaration has proof'
                WHEN t.state = 'withdrawn' AND NOT d.no
                     AND NOT EXISTS (SELECT FROM refusing r WHERE r.email = t.email)
                     AND NOT EXISTS (SELECT FROM refusing r WHERE r.phone = t.phone) THEN 'nobody has refused' END AS found
    FROM told t
    LEFT JOIN declared d ON d.id = t.legacy_consent_id
    LEFT JOIN LATERAL (
        SELECT coalesce(bool_or(CASE t.channel WHEN 'email' THEN v.email IS DISTINCT FROM v.email_now OR d.named <> t.email
                                               WHEN 'post' THEN false
                                ELSE v.phone IS DISTINCT FROM v.phone_now
                                     OR (t.phone IS NOT NULL AND u.phone IS DISTINCT FROM t.phone) END), false) AS moved
        FROM lived v
        LEFT JOIN legacy.customers c ON c.id = v.account
        LEFT JOIN ferry.standardized u2 ON u2.kind = 'phone' AND u2.raw = coalesce(c.bill_country, '') || '|' || c.phone
        CROSS JOIN LATERAL (SELECT u2.value AS phone) u
        WHERE v.account = d.customer_id AND ((v.since <= d.known AND d.known < v.until) OR (v.first AND v.since > d.known))
    ) a ON true
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
