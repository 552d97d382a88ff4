-- check:    whoever has withdrawn in legacy is not addressed by the new shop
-- severity: error
-- phase:    contacts
-- target:   legacy.consents
-- remedy:   stop mailings to them at once, then merge the customers named anew
-- A withdrawal holds unless the same account gave a later consent with proof. Without a date it holds for good.
WITH declared AS (
    SELECT s.id, s.customer_id,
           CASE lower(btrim(s.channel))
                WHEN 'email' THEN 'email' WHEN 'e-mail' THEN 'email' WHEN 'e' THEN 'email' WHEN 'mail' THEN 'email'
                WHEN 'sms' THEN 'sms' WHEN 's' THEN 'sms' WHEN 'mms' THEN 'sms'
                WHEN 'phone' THEN 'phone' WHEN 'tel' THEN 'phone' WHEN 't' THEN 'phone'
                WHEN 'post' THEN 'post' WHEN 'p' THEN 'post' WHEN 'poczta' THEN 'post' END AS channel,
           s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') IS TRUE AS withdrawn,
           upper(s.granted) IN ('T', 'Y', '1') AND w.value IS NOT NULL AS proven,
           CASE WHEN s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01' THEN s.granted_at END AS given,
           CASE WHEN s.withdrawn_at >= '1995-01-01' AND s.withdrawn_at < '2035-01-01' THEN s.withdrawn_at
                WHEN s.withdrawn_at IS NULL AND s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01' THEN s.granted_at
                ELSE 'infinity' END AS taken
    FROM legacy.consents s
    LEFT JOIN ferry.standardized w ON w.kind = 'text' AND w.raw = s.wording
), standing AS (
    SELECT d.id, i.shop_key AS customer_id, d.channel
    FROM declared d
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = d.customer_id
    WHERE d.withdrawn AND d.channel IS NOT NULL
      AND NOT EXISTS (SELECT FROM declared g WHERE g.customer_id = d.customer_id AND g.channel = d.channel
                                               AND g.proven AND NOT g.withdrawn AND g.given > d.taken)
)
SELECT w.id::text AS key, 'consent to ' || s.purpose || ' by ' || s.channel || ' is ' || s.state AS found
FROM standing w
JOIN shop.consent s ON s.customer_id = w.customer_id AND s.channel::text = w.channel AND s.legacy_customer_id IS NOT NULL
WHERE s.state <> 'withdrawn'
UNION ALL
SELECT w.id::text, 'no consent by ' || w.channel || ' says so'
FROM standing w
JOIN shop.customer c ON c.id = w.customer_id
WHERE NOT EXISTS (SELECT FROM shop.consent s WHERE s.customer_id = w.customer_id AND s.channel::text = w.channel
                                               AND s.purpose = 'marketing')
  AND NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.consent' AND q.row_key = w.id::text)
UNION ALL
SELECT w.id::text, 'news by ' || w.channel || ' is wanted'
FROM standing w
JOIN shop.communication_preference p ON p.customer_id = w.customer_id AND p.channel::text = w.channel
WHERE p.wanted;
