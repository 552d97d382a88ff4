-- title: Newsletter flags
-- phase: contacts
-- about: A flag proves nothing, so none becomes granted: yes arrives as unproven, no with a date as withdrawn, per person.

-- name: legacy
-- Accounts that are not deleted, by their flag.
SELECT CASE WHEN upper(c.newsletter) IN ('T', 'Y', '1') THEN 'newsletter: unproven' ELSE 'newsletter: withdrawn' END AS segment,
       count(*) AS consents
FROM customers c
WHERE upper(c.deleted) IN ('T', 'Y', '1') IS NOT TRUE
  AND (upper(c.newsletter) IN ('T', 'Y', '1')
       OR (upper(c.newsletter) IN ('N', '0') AND btrim(c.newsletter_date, '0-/.: ') <> ''))
GROUP BY 1;

-- name: shop
-- Consents of the new shop that only a flag speaks for.
SELECT s.purpose || ': ' || s.state AS segment, count(*) AS consents
FROM shop.consent s
WHERE s.purpose = 'newsletter' AND s.legacy_consent_id IS NULL AND s.legacy_customer_id IS NOT NULL
GROUP BY 1;
