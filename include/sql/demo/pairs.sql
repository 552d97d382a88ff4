-- identity: customer
-- table: legacy.customers
-- What is compared of two accounts that a rule in pairs/ has brought together: docs/howto/duplicates.md. Runs in psql, given
-- CREATE TEMP TABLE wanted (key bigint). An account that cannot be carried is not yielded, so it makes no pair.
SELECT c.id AS key, g.value AS given, f.value AS family, e.value AS email,
       (SELECT array_agg(DISTINCT n.value) FROM (
            SELECT p.value FROM ferry.standardized p
            WHERE p.kind = 'phone' AND p.raw = coalesce(c.bill_country, '') || '|' || c.phone
            UNION ALL
            SELECT p.value FROM legacy.addresses d
            JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(d.country, '') || '|' || d.phone
            WHERE d.customer_id = c.id AND upper(d.deleted) IN ('T', 'Y', '1') IS NOT TRUE) n
        WHERE n.value IS NOT NULL) AS phones,
       (SELECT array_agg(DISTINCT n.place) FROM (
            SELECT z.value || '|' || s.value AS place FROM ferry.standardized z, ferry.standardized s
            WHERE z.kind = 'postcode' AND z.raw = coalesce(c.bill_country, '') || '|' || c.bill_postcode
              AND s.kind = 'text' AND s.raw = c.bill_street
            UNION ALL
            SELECT z.value || '|' || s.value FROM legacy.addresses d
            JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = coalesce(d.country, '') || '|' || d.postcode
            JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = d.street
            WHERE d.customer_id = c.id AND upper(d.deleted) IN ('T', 'Y', '1') IS NOT TRUE) n
        WHERE n.place IS NOT NULL) AS addresses,
       (SELECT array_agg(DISTINCT upper(regexp_replace(l.card_number, '[^[:alnum:]]', '', 'g'))) FROM legacy.loyalty_accounts l
        WHERE l.customer_id = c.id AND length(regexp_replace(l.card_number, '[^[:alnum:]]', '', 'g')) >= 6) AS cards
FROM wanted w
JOIN legacy.customers c ON c.id = w.key
JOIN ferry.identity i ON i.entity = 'account' AND i.legacy_key = c.id
LEFT JOIN ferry.standardized g ON g.kind = 'given_name' AND g.raw = c.full_name
LEFT JOIN ferry.standardized f ON f.kind = 'family_name' AND f.raw = c.full_name
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
WHERE i.cluster NOT LIKE ALL ('{#% deleted,#% inactive,#% unusable,#% missing}');
