-- entity: shop.consent
-- key:    customer_id, purpose, channel
-- scope:  customer_id
-- source: identity.customer(shop_key), legacy.consents, legacy.customers, shop.customer(id), shop.consent_text, ferry.optout
-- counts: legacy.consents(id) as legacy_consent_id
-- standardize: text legacy.consents (wording)
-- standardize: ip legacy.consents (ip)
-- standardize: email legacy.consents (email)
-- standardize: date legacy.customers (newsletter_date)
-- standardize: email legacy.customers (email)
-- standardize: phone legacy.customers (coalesce(bill_country, '') || '|' || phone)
-- standardize: email_mark legacy.customers (email)
-- standardize: phone_mark legacy.customers (coalesce(bill_country, '') || '|' || phone)
-- index:  legacy.customers(email)
-- index:  legacy.customers(phone)
-- index:  legacy.consents(email)
-- index:  legacy.consents(btrim(wording))
-- standardize: email ferry.witness_consents (email)
-- standardize: date ferry.witness_customers (newsletter_date)
-- standardize: email ferry.witness_customers (email)
-- standardize: phone ferry.witness_customers (coalesce(bill_country, '') || '|' || phone)
-- standardize: email_mark ferry.witness_customers (email)
-- standardize: phone_mark ferry.witness_customers (coalesce(bill_country, '') || '|' || phone)
-- witness: legacy.consents (customer_id, channel, granted, granted_at, withdrawn_at)
-- witness: legacy.consents (email)
-- witness: legacy.customers (email, bill_country, newsletter, newsletter_date)
-- witness: legacy.customers (phone)
-- One state per person, purpose and channel, decided by one old declaration; the others are left out as
-- consent_superseded but stay in the evidence. What lacks proof is unproven, never granted, and `why` says what it lacks. Proof is
-- a time that is not after the row's own commit, a wording whose text is known, may be used and asks for this; a confirmation
-- where the text wants one; and the e-mail or number for which it was given. A refusal that legacy has overwritten counts, by
-- its witness; one without a date is from when it was last seen anew, at the latest.
-- A refusal counts for its address, whoever declared it there: the e-mail that it names itself, and any account that has the
-- e-mail, or for SMS and telephone the number, or had it then, be it deleted, unusable or another's, and guests. One with a
-- channel that nobody knows refuses all of them, and a newsletter refused is e-mail refused. Only later grants with proof, in
-- each account that refused, open a channel again. The newsletter flag has no proof, so it is never
-- more than unproven.
WITH spelling(written, channel) AS (VALUES
    ('email', 'email'), ('e-mail', 'email'), ('e', 'email'), ('mail', 'email'),
    ('sms', 'sms'), ('s', 'sms'), ('mms', 'sms'),
    ('phone', 'phone'), ('tel', 'phone'), ('t', 'phone'),
    ('post', 'post'), ('p', 'post'), ('poczta', 'post')
), person AS (
    SELECT sc.id AS key, sc.email, sc.phone FROM affected a JOIN shop.customer sc ON sc.id = a.key
), account AS (
    SELECT a.key, i.legacy_key, sc.id AS customer_id, c.id AS account_id,
           upper(c.deleted) IN ('T', 'Y', '1') IS TRUE AS deleted, i.cluster LIKE '#% inactive' AS inactive,
           upper(c.newsletter) AS newsletter,
           c.newsletter_date, d.value::date AS flag_date, o.value AS own_phone,
           nullif(btrim(c.newsletter_date), '') IS NOT NULL AND d.problem IS DISTINCT FROM 'date_missing' AS flag_dated
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = a.key
    LEFT JOIN legacy.customers c ON c.id = i.legacy_key
    LEFT JOIN shop.customer sc ON sc.id = a.key
    LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = c.newsletter_date
    LEFT JOIN ferry.standardized o ON o.kind = 'phone' AND o.raw = coalesce(c.bill_country, '') || '|' || c.phone
), declared AS (
    SELECT t.*, s.id, s.granted_at, s.wording, s.ip, s.withdrawn_at, s.confirmed_at,
           k.channel, b.known AT TIME ZONE 'Europe/Warsaw' AS known,
           b.last AT TIME ZONE 'Europe/Warsaw' AS last,
           -- Shops' clocks are a little wrong; no clock is wrong by a day.
           s.granted_at AT TIME ZONE 'Europe/Warsaw' > b.known + interval '1 day' IS TRUE AS after_commit,
           CASE WHEN s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01' THEN s.granted_at END AS given,
           CASE WHEN s.withdrawn_at >= '1995-01-01' AND s.withdrawn_at < '2035-01-01' THEN s.withdrawn_at END AS taken,
           upper(s.granted) AS said, w.value AS wording_version, n.value AS address,
           t.legacy_key <= 0 AND g.value IS NOT NULL AS of_guest,
           x.id AS text_id, x.usable, x.valid_from, x.valid_to, x.confirmation_needed, x.keep_months,
           'marketing' = ANY(x.purposes) AND k.channel = ANY(x.channels::text[]) AS asks_for_this,
           -- It was given for another e-mail, or the account has another address now. What the way back has written was never
           -- seen here: the new shop has judged it.
           (k.channel = 'email' AND g.value <> p.email) IS TRUE OR b.known IS NOT NULL AND CASE k.channel
               WHEN 'email' THEN me.value IS DISTINCT FROM le.value
               WHEN 'post' THEN false
               ELSE mp.value IS DISTINCT FROM lp.value
           END IS TRUE AS moved,
           -- The person is called by another account's number.
           (k.channel IN ('sms', 'phone') AND p.phone IS NOT NULL AND t.own_phone IS DISTINCT FROM p.phone) IS TRUE AS other_number,
           CASE WHEN b.known IS NOT NULL AND k.channel = 'email' THEN em.value
                WHEN b.known IS NOT NULL AND k.channel IN ('sms', 'phone') THEN pm.value END AS address_mark
    FROM account t
    JOIN legacy.consents s ON s.customer_id = t.legacy_key
    LEFT JOIN spelling k ON k.written = lower(btrim(s.channel))
    LEFT JOIN ferry.standardized w ON w.kind = 'text' AND w.raw = s.wording
    LEFT JOIN ferry.standardized n ON n.kind = 'ip' AND n.raw = s.ip
    LEFT JOIN ferry.standardized g ON g.kind = 'email' AND g.raw = s.email
    LEFT JOIN shop.consent_text x ON x.version = btrim(s.wording)
    LEFT JOIN person p ON p.key = t.key
    LEFT JOIN LATERAL (  -- by when it has stood there as it stands now
        SELECT min(b._known) AS known, max(b._known) AS last
        FROM ferry.witness_consents b
        WHERE b.id = s.id AND (b.granted, b.granted_at, b.withdrawn_at) IS NOT DISTINCT FROM (s.granted, s.granted_at, s.withdrawn_at)
    ) b ON true
    LEFT JOIN LATERAL (  -- the e-mail and number that the account had then; where none was seen yet, the first that was
        SELECT a.email AS raw, coalesce(a.bill_country, '') || '|' || a.phone AS called
        FROM ferry.witness_customers a
        WHERE a.id = t.legacy_key AND NOT a._gone
        ORDER BY a._known <= b.known DESC NULLS LAST, CASE WHEN a._known <= b.known THEN a._known END DESC,
                 CASE WHEN a._known <= b.known THEN a._lsn END DESC, a._known, a._lsn
        LIMIT 1
    ) m ON true
    LEFT JOIN LATERAL (  -- and those it had last
        SELECT a.email AS raw, coalesce(a.bill_country, '') || '|' || a.phone AS called
        FROM ferry.witness_customers a
        WHERE a.id = t.legacy_key AND NOT a._gone
        ORDER BY a._known DESC, a._lsn DESC
        LIMIT 1
    ) l ON true
    LEFT JOIN ferry.standardized me ON me.kind = 'email' AND me.raw = m.raw
    LEFT JOIN ferry.standardized mp ON mp.kind = 'phone' AND mp.raw = m.called
    LEFT JOIN ferry.standardized le ON le.kind = 'email' AND le.raw = l.raw
    LEFT JOIN ferry.standardized lp ON lp.kind = 'phone' AND lp.raw = l.called
    LEFT JOIN ferry.standardized em ON em.kind = 'email_mark' AND em.raw = m.raw
    LEFT JOIN ferry.standardized pm ON pm.kind = 'phone_mark' AND pm.raw = m.called
), reasoned AS (
    SELECT d.*,
           -- The rules of a yes; the report prints the lines with their remarks.
           CASE WHEN d.withdrawn_at IS NOT NULL OR d.said IN ('N', '0', 'F') THEN 'withdrawn'  -- it was not taken back
                WHEN d.said IN ('T', 'Y', '1') IS NOT TRUE THEN 'consent_unclear'  -- it says yes
                WHEN d.granted_at IS NULL THEN 'consent_time_missing'  -- it has a time
                WHEN d.given IS NULL THEN 'consent_time_implausible'  -- its time lies between 1995 and 2034
                WHEN d.after_commit THEN 'consent_time_after_commit'  -- it was written no more than a day before its time
                WHEN d.wording_version IS NULL THEN 'wording_missing'  -- it names the wording
                WHEN d.text_id IS NULL THEN 'wording_unknown'  -- the text of that wording is kept
                WHEN NOT d.usable THEN 'wording_unusable'  -- counsel lets that text be used
                WHEN d.channel IS NOT NULL AND NOT d.asks_for_this THEN 'wording_asks_for_other'  -- the text asks for this channel
                WHEN d.given::date < d.valid_from OR d.given::date > d.valid_to THEN 'wording_not_valid_then'  -- it was valid that day
                WHEN d.confirmation_needed AND d.confirmed_at IS NULL THEN 'consent_not_confirmed'  -- it was confirmed, if asked
                WHEN d.moved THEN 'address_changed'  -- it is for the address or number of now
                ELSE 'proven' END AS account_why
    FROM declared d
), judged AS (
    SELECT d.*,
           CASE WHEN d.account_why = 'proven' AND d.other_number THEN 'address_changed' ELSE d.account_why END AS why,
           -- 1 withdrawn, 2 granted, 3 unproven: the order in which they win
           CASE WHEN d.account_why = 'withdrawn' THEN 1 WHEN d.account_why <> 'proven' OR d.other_number THEN 3 ELSE 2 END AS state,
           CASE WHEN d.withdrawn_at IS NOT NULL THEN coalesce(least(d.taken, d.last), 'infinity')
                WHEN d.said IN ('N', '0', 'F') THEN coalesce(least(d.given, d.last), 'infinity')
                WHEN d.after_commit THEN '-infinity'
                ELSE coalesce(d.given, '-infinity') END AS at,
           d.wording_version IS NULL AS proofless  -- of those withdrawn at once, that decides which did before
    FROM reasoned d
), within_account AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.key, j.channel, j.legacy_key
                                   ORDER BY j.account_why NOT IN ('withdrawn', 'proven'), j.at DESC, j.state, j.proofless, j.given DESC NULLS LAST,
                                            j.id DESC) AS account_rank
    FROM judged j
), decided AS (
    SELECT w.*,
           row_number() OVER (PARTITION BY w.key, w.channel
                              ORDER BY w.account_rank > 1, w.state, w.at DESC, w.proofless, w.given DESC NULLS LAST,
                                       w.id DESC) AS rank,
           jsonb_agg(jsonb_build_object('consent', w.id, 'account', w.legacy_key, 'said', w.said, 'at', w.granted_at,
                                        'ip', w.ip, 'wording', w.wording, 'withdrawn', w.withdrawn_at)
                     || CASE WHEN w.confirmed_at IS NULL THEN '{}' ELSE jsonb_build_object('confirmed', w.confirmed_at) END)
               OVER (PARTITION BY w.key, w.channel ORDER BY w.granted_at, w.id
                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS evidence
    FROM within_account w
), sharing AS (  -- who has the person's address, by e-mail or by telephone
    SELECT p.key, c.id AS account_id, true AS by_email, c.email AS raw
    FROM person p
    JOIN ferry.standardized s ON s.kind = 'email' AND s.value = p.email
    JOIN legacy.customers c ON c.email = s.raw
    UNION
    SELECT p.key, c.id, false, s.raw
    FROM person p
    JOIN ferry.standardized s ON s.kind = 'phone' AND s.value = p.phone
    JOIN legacy.customers c ON c.phone = substr(s.raw, strpos(s.raw, '|') + 1)
                           AND coalesce(c.bill_country, '') || '|' || c.phone = s.raw
), shared AS (  -- and who had it, from when to when; the first that is known of an account was so before
    SELECT a.key, a.account_id, a.by_email, a.newsletter, a.newsletter_date,
           CASE WHEN EXISTS (SELECT FROM ferry.witness_customers f WHERE f.id = a.account_id AND NOT f._gone AND f._lsn < a._lsn)
                THEN a._known ELSE '-infinity' END AS since,
           coalesce((SELECT f._known FROM ferry.witness_customers f WHERE f.id = a.account_id AND f._lsn > a._lsn
                     ORDER BY f._lsn LIMIT 1), 'infinity') AS until
    FROM (
        SELECT p.key, w.id AS account_id, true AS by_email, w.newsletter, w.newsletter_date, w._known, w._lsn
        FROM person p
        JOIN ferry.standardized s ON s.kind = 'email' AND s.value = p.email
        JOIN ferry.witness_customers w ON w.email = s.raw
        UNION ALL
        SELECT p.key, w.id, false, NULL, NULL, w._known, w._lsn
        FROM person p
        JOIN ferry.standardized s ON s.kind = 'phone' AND s.value = p.phone
        JOIN ferry.witness_customers w ON w.phone = substr(s.raw, strpos(s.raw, '|') + 1)
                                      AND coalesce(w.bill_country, '') || '|' || w.phone = s.raw
    ) a
), declared_no AS (  -- what stands in legacy, and what has ever stood there
    SELECT h.key, h.account_id, h.by_email, c.id, c.channel, c.granted, c.granted_at, c.withdrawn_at, NULL::timestamptz AS known
    FROM sharing h JOIN legacy.consents c ON c.customer_id = h.account_id
    UNION ALL
    SELECT h.key, h.account_id, h.by_email, w.id, w.channel, w.granted, w.granted_at, w.withdrawn_at, w._known
    FROM sharing h JOIN ferry.witness_consents w ON w.customer_id = h.account_id
    UNION ALL
    SELECT h.key, h.account_id, h.by_email, w.id, w.channel, w.granted, w.granted_at, w.withdrawn_at, w._known
    FROM shared h JOIN ferry.witness_consents w ON w.customer_id = h.account_id AND w._known >= h.since AND w._known < h.until
    UNION ALL
    SELECT p.key, nullif(greatest(s.customer_id, 0), 0), true, s.id, s.channel, s.granted, s.granted_at, s.withdrawn_at, NULL
    FROM person p
    JOIN ferry.standardized e ON e.kind = 'email' AND e.value = p.email
    JOIN legacy.consents s ON s.email = e.raw
    UNION ALL
    SELECT p.key, nullif(greatest(w.customer_id, 0), 0), true, w.id, w.channel, w.granted, w.granted_at, w.withdrawn_at, w._known
    FROM person p
    JOIN ferry.standardized e ON e.kind = 'email' AND e.value = p.email
    JOIN ferry.witness_consents w ON w.email = e.raw
), said_no AS (
    SELECT s.key, s.account_id, s.by_email, s.id, s.channel, s.granted_at, s.withdrawn_at, max(s.known) AS known
    FROM declared_no s
    WHERE s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F')
    GROUP BY s.key, s.account_id, s.by_email, s.id, s.channel, s.granted_at, s.withdrawn_at
), flag_no AS (  -- flags of the newsletter: those that stand, all of who has the e-mail now, and those from when one had it
    SELECT h.key, h.account_id, c.newsletter, c.newsletter_date
    FROM sharing h JOIN legacy.customers c ON c.id = h.account_id WHERE h.by_email
    UNION
    SELECT h.key, h.account_id, w.newsletter, w.newsletter_date
    FROM sharing h JOIN ferry.witness_customers w ON w.id = h.account_id WHERE h.by_email
    UNION
    SELECT h.key, h.account_id, h.newsletter, h.newsletter_date FROM shared h WHERE h.by_email
), refusal AS (  -- `at` is when it was made, at the latest; `said` is what it says itself
    SELECT n.key, n.account_id, k.channel,
           coalesce(least(d.said, n.known AT TIME ZONE 'Europe/Warsaw'), 'infinity') AS at, d.said,
           jsonb_build_object('refusal', n.id, 'of_account', n.account_id, 'channel', n.channel, 'at', n.granted_at,
                              'withdrawn', n.withdrawn_at) AS evidence
    FROM said_no n
    LEFT JOIN spelling w ON w.written = lower(btrim(n.channel))
    CROSS JOIN (VALUES ('email'), ('sms'), ('phone'), ('post')) k (channel)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n.withdrawn_at >= '1995-01-01' AND n.withdrawn_at < '2035-01-01' THEN n.withdrawn_at
                    WHEN n.withdrawn_at IS NULL AND n.granted_at >= '1995-01-01' AND n.granted_at < '2035-01-01'
                    THEN n.granted_at END AS said
    ) d
    WHERE coalesce(w.channel, k.channel) = k.channel AND (n.by_email OR k.channel IN ('sms', 'phone'))
    UNION ALL
    SELECT h.key, h.account_id, 'email', coalesce(d.value::timestamp, 'infinity'), d.value::timestamp,
           jsonb_build_object('refusal', 'newsletter', 'of_account', h.account_id, 'at', h.newsletter_date)
    FROM flag_no h
    JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = h.newsletter_date
    WHERE upper(h.newsletter) IN ('N', '0') AND d.problem IS DISTINCT FROM 'date_missing'
    UNION ALL  -- opt-outs kept elsewhere: of each account that has the address
    SELECT h.key, h.account_id, o.channel, coalesce(o.at AT TIME ZONE 'Europe/Warsaw', 'infinity'),
           o.at AT TIME ZONE 'Europe/Warsaw',
           jsonb_build_object('refusal', o.source, 'of_account', h.account_id, 'channel', o.channel,
                              'at', o.at AT TIME ZONE 'Europe/Warsaw', 'reason', o.reason)
    FROM sharing h
    JOIN ferry.standardized m ON m.kind = CASE WHEN h.by_email THEN 'email_mark' ELSE 'phone_mark' END AND m.raw = h.raw
    JOIN ferry.optout o ON o.mark = m.value
), answered AS (  -- and of each account the last grant with proof, be it for another number than the person's
    SELECT x.*, max(x.proven_at) OVER (PARTITION BY x.key, x.channel, x.account_id) AS answered_at
    FROM (
        SELECT f.key, f.channel, f.account_id, f.at, f.said, f.evidence, NULL::timestamp AS proven_at FROM refusal f
        UNION ALL
        SELECT j.key, j.channel, j.legacy_key, NULL, NULL, NULL, j.at
        FROM judged j WHERE j.account_why = 'proven' AND NOT j.deleted
    ) x
), overruled AS (  -- by joins and no subqueries: verification asks for all people at once
    SELECT d.key, d.id, max(f.said) AS at, jsonb_agg(f.evidence ORDER BY f.evidence) AS evidence
    FROM decided d
    JOIN answered f ON f.key = d.key AND f.channel = d.channel
    WHERE f.at IS NOT NULL
      AND (d.state = 3 OR f.at >= d.at OR (f.account_id IS DISTINCT FROM d.legacy_key AND (f.at < f.answered_at) IS NOT TRUE))
    GROUP BY d.key, d.id
), by_email AS (
    SELECT f.key, max(f.said) AS at FROM refusal f WHERE f.channel = 'email' GROUP BY f.key
), final AS (
    SELECT d.*, r.key IS NOT NULL AND d.state <> 1 AS overruled, r.at AS refused_at, r.evidence AS refusals
    FROM decided d
    LEFT JOIN overruled r ON r.key = d.key AND r.id = d.id
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
), newsletter AS (  -- the flag, what decides for e-mail, and refusals there: grouped, for joins of so deep a query are planned badly
    SELECT x.key, max(x.customer_id) AS customer_id, bool_or(x.refused) AS refused, max(x.since) AS since, max(x.until) AS until,
           max(x.account_id) AS account_id, (array_agg(x.evidence) FILTER (WHERE x.flagged))[1] AS evidence,
           bool_or(x.decided) IS TRUE AS decided, bool_or(x.says_no) IS TRUE AS says_no, bool_or(x.told) IS TRUE AS told, max(x.at) AS at
    FROM (
        SELECT f.key, f.customer_id, f.refused, f.since, f.until, f.account_id, f.evidence, true AS flagged, NULL::boolean AS decided,
               NULL::boolean AS says_no, NULL::boolean AS told, NULL::timestamp AS at
        FROM flag f
        UNION ALL
        SELECT m.key, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, m.state = 1 OR m.overruled, NULL, NULL
        FROM final m WHERE m.channel = 'email' AND m.rank = 1
        UNION ALL
        SELECT r.key, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, r.at FROM by_email r
    ) x
    GROUP BY x.key
    HAVING bool_or(x.flagged)
)
SELECT d.key AS customer_id,
       'marketing'::shop.consent_purpose AS purpose,
       d.channel::shop.contact_channel AS channel,
       (ARRAY['withdrawn', 'granted', 'unproven'])[CASE WHEN d.overruled THEN 1 ELSE d.state END]::shop.consent_state AS state,
       CASE WHEN NOT d.after_commit THEN d.given END AT TIME ZONE 'Europe/Warsaw' AS granted_at,
       d.address::inet AS granted_ip,
       d.wording_version,
       CASE WHEN d.overruled THEN d.refused_at WHEN d.state <> 1 THEN NULL
            WHEN d.withdrawn_at IS NOT NULL THEN d.taken ELSE d.given END AT TIME ZONE 'Europe/Warsaw' AS withdrawn_at,
       d.confirmed_at AT TIME ZONE 'Europe/Warsaw' AS confirmed_at,
       CASE WHEN NOT d.overruled AND d.state = 2
            THEN d.given + make_interval(months => d.keep_months) END AT TIME ZONE 'Europe/Warsaw' AS expires_at,
       d.address_mark,
       'consent' AS basis,
       CASE WHEN d.overruled AND jsonb_path_exists(d.refusals, '$[*].reason') THEN 'opted_out'
            WHEN d.overruled THEN 'refused_for_address' ELSE d.why END AS why,
       d.evidence || CASE WHEN d.overruled THEN d.refusals ELSE '[]' END AS evidence,
       d.id::bigint AS legacy_consent_id,
       d.legacy_key AS legacy_customer_id,
       CASE WHEN d.deleted OR d.inactive OR d.of_guest THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN d.account_id IS NULL THEN 'customer_missing'
                WHEN d.customer_id IS NULL THEN 'customer_quarantined' END,
           CASE WHEN d.channel IS NULL THEN 'channel_unknown' END
       ], NULL) END AS problems,
       CASE WHEN d.deleted THEN 'customer_deleted'
            WHEN d.inactive THEN 'customer_inactive'
            WHEN d.of_guest THEN 'consent_of_guest'
            WHEN d.customer_id IS NOT NULL AND d.channel IS NOT NULL AND d.rank > 1
            THEN 'consent_superseded' END AS left_out
FROM final d
UNION ALL
SELECT f.customer_id,
       'newsletter',
       'email',
       CASE WHEN f.refused OR f.says_no OR (NOT f.decided AND f.told)
            THEN 'withdrawn' ELSE 'unproven' END::shop.consent_state,
       f.since::timestamp AT TIME ZONE 'Europe/Warsaw',
       NULL,
       NULL,
       CASE WHEN f.refused THEN f.until::timestamp
            WHEN f.says_no OR NOT f.decided THEN f.at END AT TIME ZONE 'Europe/Warsaw',
       NULL,
       NULL,
       NULL,
       'consent',
       CASE WHEN f.refused THEN 'withdrawn' WHEN f.says_no OR (NOT f.decided AND f.told)
            THEN 'refused_for_address' ELSE 'flag_only' END,
       f.evidence,
       NULL,
       f.account_id::bigint,
       '{}',
       NULL
FROM newsletter f;

-- lineage: legacy.consents
SELECT a.key FROM (
    WITH said AS (
        SELECT c.customer_id, c.email FROM changed c
        UNION
        SELECT w.customer_id, w.email FROM changed c JOIN ferry.witness_consents w ON w.id = c.id
    ), address AS (
        SELECT s.email, NULL AS called FROM said s
        UNION
        SELECT o.email, coalesce(o.bill_country, '') || '|' || o.phone FROM said s JOIN legacy.customers o ON o.id = s.customer_id
        UNION
        SELECT o.email, coalesce(o.bill_country, '') || '|' || o.phone
        FROM said s JOIN ferry.witness_customers o ON o.id = s.customer_id
    )
    SELECT i.shop_key AS key FROM said s JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = s.customer_id
    UNION
    SELECT i.shop_key
    FROM (SELECT DISTINCT email FROM address) d
    JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = d.email
    JOIN ferry.standardized r ON r.kind = 'email' AND r.value = e.value
    JOIN legacy.customers o ON o.email = r.raw
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id
    UNION
    SELECT i.shop_key
    FROM (SELECT DISTINCT called FROM address) d
    JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = d.called
    JOIN ferry.standardized r ON r.kind = 'phone' AND r.value = p.value
    JOIN legacy.customers o ON o.phone = substr(r.raw, strpos(r.raw, '|') + 1) AND coalesce(o.bill_country, '') || '|' || o.phone = r.raw
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id
) a

-- lineage: legacy.customers
SELECT a.key FROM (
    WITH address AS (
        SELECT c.email, coalesce(c.bill_country, '') || '|' || c.phone AS called FROM changed c
        UNION
        SELECT w.email, coalesce(w.bill_country, '') || '|' || w.phone FROM changed c JOIN ferry.witness_customers w ON w.id = c.id
    )
    SELECT i.shop_key AS key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id
    UNION
    SELECT i.shop_key
    FROM (SELECT DISTINCT email FROM address) d
    JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = d.email
    JOIN ferry.standardized r ON r.kind = 'email' AND r.value = e.value
    JOIN legacy.customers o ON o.email = r.raw
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id
    UNION
    SELECT i.shop_key
    FROM (SELECT DISTINCT called FROM address) d
    JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = d.called
    JOIN ferry.standardized r ON r.kind = 'phone' AND r.value = p.value
    JOIN legacy.customers o ON o.phone = substr(r.raw, strpos(r.raw, '|') + 1) AND coalesce(o.bill_country, '') || '|' || o.phone = r.raw
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id
) a

-- lineage: shop.consent_text
SELECT i.shop_key
FROM changed t
JOIN legacy.consents c ON btrim(c.wording) = t.version
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.customer_id;

-- lineage: ferry.optout
SELECT i.shop_key
FROM changed c
JOIN ferry.standardized m ON m.kind = 'email_mark' AND m.value = c.mark
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = m.raw
JOIN ferry.standardized r ON r.kind = 'email' AND r.value = e.value
JOIN legacy.customers o ON o.email = r.raw
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id
UNION
SELECT sc.id
FROM changed c
JOIN ferry.standardized m ON m.kind = 'phone_mark' AND m.value = c.mark
JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = m.raw
JOIN shop.customer sc ON sc.phone = p.value;
