-- identity: customer
-- sequence: shop.customer_id_seq
-- source: legacy.customers(id), legacy.consents(customer_id)
-- standardize: email legacy.customers (email)
-- standardize: given_name legacy.customers (full_name)
-- standardize: family_name legacy.customers (full_name)
-- Accounts with the same e-mail are one person; an account that cannot be used stays alone, and its cluster says why.
-- Customers of whom only a consent is left have an identity too, so that this consent is found and quarantined.
SELECT a.key AS legacy_key,
       CASE WHEN c.id IS NULL THEN '#' || a.key || ' missing'
            WHEN upper(c.deleted) IN ('T', 'Y', '1') THEN '#' || a.key || ' deleted'
            WHEN e.value IS NULL OR length(g.value) > 100 OR length(f.value) > 100 THEN '#' || a.key || ' unusable'
            ELSE e.value END AS cluster
FROM affected a
LEFT JOIN legacy.customers c ON c.id = a.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
LEFT JOIN ferry.standardized g ON g.kind = 'given_name' AND g.raw = c.full_name
LEFT JOIN ferry.standardized f ON f.kind = 'family_name' AND f.raw = c.full_name
WHERE c.id IS NOT NULL
   OR EXISTS (SELECT FROM legacy.consents s WHERE s.customer_id = a.key);
