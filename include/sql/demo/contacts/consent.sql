-- entity: shop.consent
-- key:    customer_id, purpose, channel
-- scope:  customer_id
-- source: identity.customer(shop_key), legacy.consents, legacy.customers, shop.customer(id)
-- counts: legacy.consents(id) as legacy_consent_id
-- standardize: text legacy.consents (wording)
-- standardize: ip legacy.consents (ip)
-- standardize: date legacy.customers (newsletter_date)
-- One state per person, purpose and channel, decided by one old declaration; the others are left out as
-- consent_superseded but stay in the evidence. Proof is a time and a wording; what lacks it is unproven, never granted.
-- Within one account a proven grant later than the withdrawal opens the channel again; an account never overrules the
-- withdrawal of the same person's other account. The newsletter flag has no proof, so it is never more than unproven.
WITH account AS (
    SELECT a.key, i.legacy_key, sc.id AS customer_id, c.id AS account_id,
           upper(c.deleted) IN ('T', 'Y', '1') IS TRUE AS deleted, upper(c.newsletter) AS newsletter,
           c.newsletter_date, d.value::date AS flag_date,
           nullif(btrim(c.newsletter_date), '') IS NOT NULL AND d.problem IS DISTINCT FROM 'date_missing' AS flag_dated
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = a.key
    LEFT JOIN legacy.customers c ON c.id = i.legacy_key
    LEFT JOIN shop.customer sc ON sc.id = a.key
    LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = c.newsletter_date
), declared AS (
    SELECT t.*, s.id, s.granted_at, s.wording, s.ip, s.withdrawn_at,
           CASE lower(btrim(s.channel))
                WHEN 'email' THEN 'email' WHEN 'e-mail' THEN 'email' WHEN 'e' THEN 'email' WHEN 'mail' THEN 'email'
                WHEN 'sms' THEN 'sms' WHEN 's' THEN 'sms' WHEN 'mms' THEN 'sms'
                WHEN 'phone' THEN 'phone' WHEN 'tel' THEN 'phone' WHEN 't' THEN 'phone'
                WHEN 'post' THEN 'post' WHEN 'p' THEN 'post' WHEN 'poczta' THEN 'post' END AS channel,
           CASE WHEN s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01' THEN s.granted_at END AS given,
           CASE WHEN s.withdrawn_at >= '1995-01-01' AND s.withdrawn_at < '2035-01-01' THEN s.withdrawn_at END AS taken,
           upper(s.granted) AS said, w.value AS wording_version, n.value AS address
    FROM account t
    JOIN legacy.consents s ON s.customer_id = t.legacy_key
    LEFT JOIN ferry.standardized w ON w.kind = 'text' AND w.raw = s.wording
    LEFT JOIN ferry.standardized n ON n.kind = 'ip' AND n.raw = s.ip
), judged AS (
    SELECT d.*,
           CASE WHEN d.withdrawn_at IS NOT NULL OR d.said IN ('N', '0', 'F') THEN 1
                WHEN d.said IN ('T', 'Y', '1') AND d.given IS NOT NULL AND d.wording_version IS NOT NULL THEN 2
                ELSE 3 END AS state,            -- 1 withdrawn, 2 granted, 3 unproven: the order in which they win
           CASE WHEN d.withdrawn_at IS NOT NULL THEN coalesce(d.taken, 'infinity')
                WHEN d.said IN ('N', '0', 'F') THEN coalesce(d.given, 'infinity')
                ELSE coalesce(d.given, '-infinity') END AS at,
           d.wording_version IS NULL AS proofless  -- of those withdrawn at once, that decides which did before
    FROM declared d
), within_account AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.key, j.channel, j.legacy_key
                                   ORDER BY j.state = 3, j.at DESC, j.state, j.proofless, j.given DESC NULLS LAST,
                                            j.id DESC) AS account_rank
    FROM judged j
), decided AS (
    SELECT w.*,
           row_number() OVER (PARTITION BY w.key, w.channel
                              ORDER BY w.account_rank > 1, w.state, w.at DESC, w.proofless, w.given DESC NULLS LAST,
                                       w.id DESC) AS rank,
           jsonb_agg(jsonb_build_object('consent', w.id, 'account', w.legacy_key, 'said', w.said, 'at', w.granted_at,
                                        'ip', w.ip, 'wording', w.wording, 'withdrawn', w.withdrawn_at))
               OVER (PARTITION BY w.key, w.channel ORDER BY w.granted_at, w.id
                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS evidence
    FROM within_account w
), flag AS (
    SELECT t.key, t.customer_id,
           bool_or(t.newsletter IN ('N', '0') AND t.flag_dated) AS refused,
           min(t.flag_date) FILTER (WHERE t.newsletter IN ('T', 'Y', '1')) AS since,
           max(t.flag_date) FILTER (WHERE t.newsletter IN ('N', '0')) AS until,
           min(t.account_id) AS account_id,
           jsonb_agg(jsonb_build_object('account', t.account_id, 'newsletter', t.newsletter, 'date', t.newsletter_date)
                     ORDER BY t.account_id) AS evidence
    FROM account t
    WHERE t.customer_id IS NOT NULL AND NOT t.deleted
      AND (t.newsletter IN ('T', 'Y', '1') OR (t.newsletter IN ('N', '0') AND t.flag_dated))
    GROUP BY t.key, t.customer_id
)
SELECT d.key AS customer_id,
       'marketing'::shop.consent_purpose AS purpose,
       d.channel::shop.contact_channel AS channel,
       (ARRAY['withdrawn', 'granted', 'unproven'])[d.state]::shop.consent_state AS state,
       d.given AT TIME ZONE 'Europe/Warsaw' AS granted_at,
       d.address::inet AS granted_ip,
       d.wording_version,
       CASE WHEN d.state = 1 AND d.at <> 'infinity' THEN d.at AT TIME ZONE 'Europe/Warsaw' END AS withdrawn_at,
       d.evidence,
       d.id::bigint AS legacy_consent_id,
       d.legacy_key AS legacy_customer_id,
       CASE WHEN d.deleted THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN d.account_id IS NULL THEN 'customer_missing'
                WHEN d.customer_id IS NULL THEN 'customer_quarantined' END,
           CASE WHEN d.channel IS NULL THEN 'channel_unknown' END
       ], NULL) END AS problems,
       CASE WHEN d.deleted THEN 'customer_deleted'
            WHEN d.customer_id IS NOT NULL AND d.channel IS NOT NULL AND d.rank > 1
            THEN 'consent_superseded' END AS left_out
FROM decided d
UNION ALL
SELECT f.customer_id,
       'newsletter',
       'email',
       CASE WHEN f.refused OR m.state = 1 THEN 'withdrawn' ELSE 'unproven' END::shop.consent_state,
       f.since::timestamp AT TIME ZONE 'Europe/Warsaw',
       NULL,
       NULL,
       CASE WHEN f.refused THEN f.until::timestamp AT TIME ZONE 'Europe/Warsaw' END,
       f.evidence,
       NULL,
       f.account_id::bigint,
       '{}',
       NULL
FROM flag f
LEFT JOIN decided m ON m.key = f.key AND m.channel = 'email' AND m.rank = 1;

-- lineage: legacy.consents
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.customer_id;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;
