-- title: Consents by purpose and state
-- phase: contacts
-- about: What was declared for marketing. One declaration decides per person and channel; the others stay in its evidence.

-- name: legacy
-- Declarations of the old shop, each by itself: granted needs a time and a wording.
SELECT 'marketing: ' || CASE
           WHEN s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') THEN 'withdrawn'
           WHEN upper(s.granted) IN ('T', 'Y', '1') AND s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01'
                AND btrim(s.wording) <> '' THEN 'granted'
           ELSE 'unproven' END AS segment,
       count(*) AS consents
FROM consents s
GROUP BY 1;

-- name: shop
-- Consents of the new shop that a declaration decided.
SELECT s.purpose || ': ' || s.state AS segment, count(*) AS consents
FROM shop.consent s
WHERE s.legacy_consent_id IS NOT NULL
GROUP BY 1;

-- name: held
-- Declarations that are in quarantine, superseded by another, or of a deleted customer.
SELECT 'marketing: ' || CASE
           WHEN s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') THEN 'withdrawn'
           WHEN upper(s.granted) IN ('T', 'Y', '1') AND s.granted_at >= '1995-01-01' AND s.granted_at < '2035-01-01'
                AND btrim(s.wording) <> '' THEN 'granted'
           ELSE 'unproven' END AS segment,
       count(*) AS consents
FROM legacy.consents s
JOIN (SELECT row_key FROM ferry.quarantine WHERE entity = 'shop.consent'
      UNION SELECT row_key FROM ferry.left_out WHERE entity = 'shop.consent') h ON h.row_key = s.id::text
GROUP BY 1;
