-- entity: shop.consent_event
-- key:    source_key
-- scope:  customer_id
-- source: identity.customer(shop_key), legacy.consents, legacy.customers, ferry.optout
-- standardize: text ferry.witness_consents (wording)
-- standardize: ip   ferry.witness_consents (ip)
-- standardize: email_mark ferry.witness_consents (email)
-- standardize: date ferry.witness_customers (newsletter_date)
-- standardize: email_mark ferry.witness_customers (email)
-- standardize: phone_mark ferry.witness_customers (coalesce(bill_country, '') || '|' || phone)
-- witness: legacy.consents (customer_id, email, channel, granted, granted_at, withdrawn_at, confirmed_at, wording, ip)
-- witness: legacy.customers (email, phone, bill_country, newsletter, newsletter_date)
-- The chain: each act that a declaration or a newsletter flag has ever told of, once, with the first time it was seen and the
-- address that the account had then; and what other tools report of that address. What legacy says no more is marked as
-- overwritten. Deleted accounts and guests have their acts, too: their refusals count for others with that address. A flag without
-- a date is no act: it was there from the beginning.
WITH spelling(written, channel) AS (VALUES
    ('email', 'email'), ('e-mail', 'email'), ('e', 'email'), ('mail', 'email'),
    ('sms', 'sms'), ('s', 'sms'), ('mms', 'sms'),
    ('phone', 'phone'), ('tel', 'phone'), ('t', 'phone'),
    ('post', 'post'), ('p', 'post'), ('poczta', 'post')
), member AS (
    SELECT a.key, i.legacy_key FROM affected a JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = a.key
), declared AS (
    SELECT m.key, m.legacy_key, w.id, k.channel, w.email, w.wording, w.ip, w._known, w._lsn, x.act, x.at,
           NOT EXISTS (SELECT FROM legacy.consents c
                       WHERE c.id = w.id AND c.customer_id = w.customer_id AND CASE x.act
                           WHEN 'confirmed' THEN c.confirmed_at = w.confirmed_at
                           WHEN 'granted' THEN upper(c.granted) = upper(w.granted) AND c.granted_at IS NOT DISTINCT FROM w.granted_at
                           ELSE (upper(c.granted), c.withdrawn_at) IS NOT DISTINCT FROM (upper(w.granted), w.withdrawn_at)
                       END) AS overwritten
    FROM member m
    JOIN ferry.witness_consents w ON w.customer_id = m.legacy_key AND NOT w._gone
    CROSS JOIN LATERAL (
        SELECT 'granted' AS act, w.granted_at AS at WHERE upper(w.granted) IN ('T', 'Y', '1')
        UNION ALL
        SELECT 'confirmed', w.confirmed_at WHERE w.confirmed_at IS NOT NULL
        UNION ALL
        SELECT 'withdrawn', coalesce(w.withdrawn_at, w.granted_at)
        WHERE w.withdrawn_at IS NOT NULL OR upper(w.granted) IN ('N', '0', 'F')
    ) x
    LEFT JOIN spelling k ON k.written = lower(btrim(w.channel))
), flagged AS (
    SELECT m.key, m.legacy_key, w._known, w._lsn, d.value::timestamp AS at, upper(w.newsletter) IN ('N', '0') AS no,
           NOT EXISTS (SELECT FROM legacy.customers c WHERE c.id = w.id AND upper(c.newsletter) = upper(w.newsletter)
                                                        AND c.newsletter_date = w.newsletter_date) AS overwritten
    FROM member m
    JOIN ferry.witness_customers w ON w.id = m.legacy_key AND NOT w._gone
    JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = w.newsletter_date AND d.value IS NOT NULL
    WHERE upper(w.newsletter) IN ('T', 'Y', '1', 'N', '0')
), reported AS (
    SELECT DISTINCT m.key, m.legacy_key, o.source, o.channel, o.mark, o.at
    FROM member m
    JOIN legacy.customers c ON c.id = m.legacy_key
    JOIN ferry.standardized s ON (s.kind = 'email_mark' AND s.raw = c.email)
                              OR (s.kind = 'phone_mark' AND s.raw = coalesce(c.bill_country, '') || '|' || c.phone)
    JOIN ferry.optout o ON o.mark = s.value
), moved AS (  -- another e-mail, or for SMS and telephone another number, in an account that had declared something for it
    SELECT m.key, m.legacy_key, k.channel, w._known, w._lsn,
           CASE k.channel WHEN 'email' THEN e.value ELSE p.value END AS mark,
           lag(CASE k.channel WHEN 'email' THEN e.value ELSE p.value END)
               OVER (PARTITION BY m.key, m.legacy_key, k.channel ORDER BY w._lsn) AS mark_before
    FROM member m
    JOIN ferry.witness_customers w ON w.id = m.legacy_key AND NOT w._gone
    JOIN (SELECT DISTINCT d.legacy_key, d.channel FROM declared d WHERE d.channel IN ('email', 'sms', 'phone')) k
        ON k.legacy_key = m.legacy_key
    LEFT JOIN ferry.standardized e ON e.kind = 'email_mark' AND e.raw = w.email
    LEFT JOIN ferry.standardized p ON p.kind = 'phone_mark' AND p.raw = coalesce(w.bill_country, '') || '|' || w.phone
), act AS (
    SELECT d.key, d.legacy_key, 'marketing' AS purpose, d.channel, d.act, d.at, d._known, d._lsn, d.email, d.wording, d.ip,
           d.overwritten,
           concat('consents:', d.id, '/', d.legacy_key, ':', coalesce(d.channel, '?'), ':', d.act, ':',
                  to_char(d.at, 'YYYY-MM-DD HH24:MI:SS.US')) AS source_key
    FROM declared d
    UNION ALL
    SELECT f.key, f.legacy_key, 'newsletter', 'email', CASE WHEN f.no THEN 'withdrawn' ELSE 'granted' END, f.at, f._known, f._lsn,
           NULL, NULL, NULL, f.overwritten,
           concat('newsletter:', f.legacy_key, ':', CASE WHEN f.no THEN 'withdrawn' ELSE 'granted' END, ':', f.at::date)
    FROM flagged f
    UNION ALL
    SELECT r.key, r.legacy_key, 'marketing', r.channel, 'objected', r.at AT TIME ZONE 'Europe/Warsaw', r.at, NULL, NULL, NULL,
           NULL, false, concat('optout:', r.source, '/', r.legacy_key, ':', r.channel, ':', r.mark)
    FROM reported r
    UNION ALL
    SELECT v.key, v.legacy_key, 'marketing', v.channel, 'moved', v._known AT TIME ZONE 'Europe/Warsaw', v._known, v._lsn,
           NULL, NULL, NULL, false, concat('moved:', v.legacy_key, ':', v.channel, ':', v._lsn)
    FROM moved v WHERE v.mark <> v.mark_before
), first AS (
    SELECT DISTINCT ON (a.source_key) a.*,
           bool_and(a.overwritten) OVER (PARTITION BY a.source_key) AS gone
    FROM act a
    ORDER BY a.source_key, a._known, a._lsn, a.wording, a.ip
)
SELECT f.source_key,
       f.key AS customer_id,
       f.purpose::shop.consent_purpose AS purpose,
       f.channel::shop.contact_channel AS channel,
       f.act::shop.consent_act_kind AS act,
       CASE WHEN f.at >= '1995-01-01' AND (f.at AT TIME ZONE 'Europe/Warsaw' <= f._known + interval '1 day') IS NOT FALSE THEN f.at END
           AT TIME ZONE 'Europe/Warsaw' AS happened_at,
       f._known AS known_at,
       coalesce(g.value, CASE WHEN f.channel = 'email' THEN em.value WHEN f.channel IN ('sms', 'phone') THEN pm.value END)
           AS address_mark,
       v.value AS wording_version,
       n.value::inet AS ip,
       f.gone AS overwritten,
       '{}'::text[] AS problems
FROM first f
LEFT JOIN LATERAL (
    SELECT a.email AS raw, coalesce(a.bill_country, '') || '|' || a.phone AS called
    FROM ferry.witness_customers a
    WHERE a.id = f.legacy_key AND NOT a._gone
    ORDER BY a._known <= f._known DESC, CASE WHEN a._known <= f._known THEN a._known END DESC,
             CASE WHEN a._known <= f._known THEN a._lsn END DESC, a._known, a._lsn
    LIMIT 1
) m ON true
LEFT JOIN ferry.standardized g ON g.kind = 'email_mark' AND g.raw = f.email
LEFT JOIN ferry.standardized em ON em.kind = 'email_mark' AND em.raw = m.raw
LEFT JOIN ferry.standardized pm ON pm.kind = 'phone_mark' AND pm.raw = m.called
LEFT JOIN ferry.standardized v ON v.kind = 'text' AND v.raw = f.wording
LEFT JOIN ferry.standardized n ON n.kind = 'ip' AND n.raw = f.ip;

-- lineage: legacy.consents
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.customer_id
UNION
SELECT i.shop_key
FROM changed c
JOIN ferry.witness_consents w ON w.id = c.id
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = w.customer_id;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;

-- lineage: ferry.optout
SELECT i.shop_key
FROM changed c
JOIN ferry.standardized m ON m.kind = 'email_mark' AND m.value = c.mark
JOIN legacy.customers o ON o.email = m.raw
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id
UNION
SELECT i.shop_key
FROM changed c
JOIN ferry.standardized m ON m.kind = 'phone_mark' AND m.value = c.mark
JOIN legacy.customers o ON o.phone = substr(m.raw, strpos(m.raw, '|') + 1) AND coalesce(o.bill_country, '') || '|' || o.phone = m.raw
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id;
