-- check:    no address that has refused, in legacy or elsewhere, is addressed by the new shop
-- severity: error
-- phase:    contacts
-- target:   legacy.consents
-- remedy:   stop mailings to them at once, then merge the customers named anew
-- By address, over all accounts, living or not, and guests: a refusal by e-mail holds for whoever has that e-mail, one by SMS
-- or telephone for whoever has that number, too; also those that the account had then. One whose channel cannot be read holds
-- for every channel. It is answered only by a later yes with a time, to a usable wording, of the same account and channel,
-- confirmed where the wording wants that, and not of a time to come. What legacy has overwritten or deleted holds like the
-- rest. Without a date it is from when it was seen. An opt-out kept elsewhere is of no account, so a later yes of any account
-- with its address answers it here; the mapping is stricter.
WITH answer AS (
    SELECT s.id::text AS id, s.customer_id AS account, coalesce(nullif(btrim(s.email), ''), c.email) AS mail,
           coalesce(c.bill_country, '') || '|' || c.phone AS number,
           CASE WHEN lower(btrim(s.channel)) IN ('email', 'e-mail', 'e', 'mail') THEN 'email'
                WHEN lower(btrim(s.channel)) IN ('sms', 's', 'mms') THEN 'sms'
                WHEN lower(btrim(s.channel)) IN ('phone', 'tel', 't') THEN 'phone'
                WHEN lower(btrim(s.channel)) IN ('post', 'p', 'poczta') THEN 'post' ELSE 'any' END AS channel,
           s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') IS TRUE AS no,
           s.withdrawn_at IS NULL AND upper(s.granted) IN ('T', 'Y', '1') AND s.granted_at BETWEEN '1995-01-01' AND '2034-12-31'
               AND (s.granted_at > b.known + interval '1 day') IS NOT TRUE
               AND EXISTS (SELECT FROM legacy.consent_texts x
                           JOIN ferry.standardized v ON v.kind = 'text' AND v.raw = s.wording AND v.value = btrim(x.version)
                           WHERE upper(x.usable) IN ('T', 'Y', '1')
                             AND (s.confirmed_at IS NOT NULL OR upper(x.double_opt_in) IN ('T', 'Y', '1') IS NOT TRUE)) AS yes,
           coalesce(least(CASE WHEN t.told BETWEEN '1995-01-01' AND '2034-12-31' THEN t.told END, b.known), 'infinity') AS at
    FROM legacy.consents s
    LEFT JOIN legacy.customers c ON c.id = s.customer_id
    CROSS JOIN LATERAL (SELECT coalesce(s.withdrawn_at, s.granted_at) AS told) t
    CROSS JOIN LATERAL (
        SELECT max(w._known) AT TIME ZONE 'Europe/Warsaw' AS known FROM ferry.witness_consents w
        WHERE w.id = s.id AND (w.granted, w.granted_at, w.withdrawn_at) IS NOT DISTINCT FROM (s.granted, s.granted_at, s.withdrawn_at)
    ) b
    UNION ALL
    SELECT w.id || '@' || w._lsn, w.customer_id, coalesce(nullif(btrim(w.email), ''), c.email), c.number,
           CASE WHEN lower(btrim(w.channel)) IN ('email', 'e-mail', 'e', 'mail') THEN 'email'
                WHEN lower(btrim(w.channel)) IN ('sms', 's', 'mms') THEN 'sms'
                WHEN lower(btrim(w.channel)) IN ('phone', 'tel', 't') THEN 'phone'
                WHEN lower(btrim(w.channel)) IN ('post', 'p', 'poczta') THEN 'post' ELSE 'any' END,
           true, false, least(CASE WHEN t.told BETWEEN '1995-01-01' AND '2034-12-31' THEN t.told END,
                              w._known AT TIME ZONE 'Europe/Warsaw')
    FROM ferry.witness_consents w
    CROSS JOIN LATERAL (SELECT coalesce(w.withdrawn_at, w.granted_at) AS told) t
    LEFT JOIN LATERAL (  -- of the account: what it has now, and what it had then
        SELECT c.email, coalesce(c.bill_country, '') || '|' || c.phone AS number
        FROM legacy.customers c WHERE c.id = w.customer_id
        UNION
        (SELECT a.email, coalesce(a.bill_country, '') || '|' || a.phone
         FROM ferry.witness_customers a WHERE a.id = w.customer_id AND NOT a._gone AND a._known <= w._known
         ORDER BY a._known DESC, a._lsn DESC LIMIT 1)
    ) c ON true
    WHERE w.withdrawn_at IS NOT NULL OR upper(w.granted) IN ('N', '0', 'F')
    UNION ALL
    SELECT 'newsletter of ' || f.id, f.id, f.email, NULL, 'email', true, false, coalesce(d.value::timestamp, 'infinity')
    FROM (
        SELECT c.id, c.email, c.newsletter, c.newsletter_date FROM legacy.customers c
        UNION
        SELECT w.id, x.email, w.newsletter, w.newsletter_date
        FROM ferry.witness_customers w
        LEFT JOIN legacy.customers c ON c.id = w.id
        CROSS JOIN LATERAL (VALUES (w.email), (c.email)) x (email)
    ) f
    LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = f.newsletter_date
    WHERE upper(f.newsletter) IN ('N', '0') AND btrim(f.newsletter_date, ' 0-/.:T') <> ''
), standing AS (
    SELECT n.id, n.channel, m.value AS email, p.value AS phone
    FROM answer n
    LEFT JOIN ferry.standardized m ON m.kind = 'email' AND m.raw = n.mail
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = n.number
    WHERE n.no
      AND NOT EXISTS (SELECT FROM answer y WHERE y.account = n.account AND y.account > 0 AND y.yes AND y.channel = n.channel
                                             AND y.at > n.at AND y.at < '2035-01-01')
    UNION
    SELECT o.source || ' ' || o.mark, o.channel, e.value, p.value
    FROM ferry.optout o
    JOIN ferry.standardized k ON k.kind IN ('email_mark', 'phone_mark') AND k.value = o.mark
    LEFT JOIN ferry.standardized e ON k.kind = 'email_mark' AND e.kind = 'email' AND e.raw = k.raw
    LEFT JOIN ferry.standardized p ON k.kind = 'phone_mark' AND p.kind = 'phone' AND p.raw = k.raw
    WHERE NOT EXISTS (SELECT FROM answer y WHERE y.mail = k.raw AND y.yes AND y.channel = o.channel
                                             AND y.at > o.at AT TIME ZONE 'Europe/Warsaw' AND y.at < '2035-01-01')
      AND NOT EXISTS (SELECT FROM answer y WHERE y.number = k.raw AND y.yes AND y.channel = o.channel
                                             AND y.at > o.at AT TIME ZONE 'Europe/Warsaw' AND y.at < '2035-01-01')
), spoken AS (  -- how the new shop would address whom, and with which right
    SELECT c.id, c.email, c.phone, s.channel::text AS channel, 'consent to ' || s.purpose || ' by ' || s.channel AS how
    FROM shop.consent s
    JOIN shop.customer c ON c.id = s.customer_id
    WHERE s.state = 'granted' AND s.legacy_customer_id IS NOT NULL
    UNION ALL
    SELECT c.id, c.email, c.phone, w.channel::text, 'news by ' || w.channel || ' is wanted'
    FROM shop.communication_preference w
    JOIN shop.customer c ON c.id = w.customer_id
    WHERE w.wanted AND NOT EXISTS (SELECT FROM shop.consent g WHERE g.customer_id = w.customer_id AND g.channel = w.channel
                                                              AND g.legacy_customer_id IS NULL)
), unanswered AS (  -- a refusal of every channel is answered for one channel by a yes to that one
    SELECT n.id, k.how, k.channel, k.id AS customer
    FROM standing n
    JOIN spoken k ON n.email = k.email AND n.channel IN (k.channel, 'any')
    UNION
    SELECT n.id, k.how, k.channel, k.id
    FROM standing n
    JOIN spoken k ON n.phone = k.phone AND k.channel IN ('sms', 'phone') AND n.channel IN (k.channel, 'any')
)
SELECT DISTINCT split_part(u.id, '@', 1) AS key, u.how || ' of customer ' || u.customer AS found
FROM unanswered u
WHERE NOT EXISTS (
    SELECT FROM answer n
    JOIN answer y ON y.account = n.account AND y.account > 0 AND y.yes AND y.at > n.at AND y.at < '2035-01-01'
    WHERE n.id = u.id AND n.channel = 'any' AND y.channel = u.channel);
