-- identity: account
-- sequence: shop.customer_id_seq
-- source: legacy.customers(id), legacy.customers, legacy.consents(customer_id), legacy.consents, clean.inactive, ferry.pair
-- witness: legacy.consents (customer_id)
-- index:  legacy.customers(email)
-- standardize: email legacy.customers (email)
-- standardize: given_name legacy.customers (full_name)
-- standardize: family_name legacy.customers (full_name)
-- standardize: name_words legacy.customers (full_name)
-- Accounts with the same e-mail are one person, unless their names are far apart, or somebody has decided that they are
-- different: who registered first has the address, of those decided the lower number, and the other waits. Whom decisions
-- join beyond that says customer.identity.sql. An account that cannot be used stays alone, and its cluster says why. So does one that the policy for inactive
-- accounts leaves out: only if all accounts with its e-mail are inactive, whatever else is wrong with them.
-- Customers of whom only a consent is left, or was, have an identity too: it is found and quarantined, and its acts stand in
-- the chain.
SELECT a.key AS legacy_key,
       CASE WHEN c.id IS NULL THEN '#' || a.key || ' missing'
            WHEN upper(c.deleted) IN ('T', 'Y', '1') THEN '#' || a.key || ' deleted'
            WHEN n.account_id IS NOT NULL AND NOT seen.elsewhere THEN '#' || a.key || ' inactive'
            WHEN e.value IS NULL OR length(g.value) > 100 OR length(f.value) > 100 THEN '#' || a.key || ' unusable'
            WHEN NOT string_to_array(w.value, ' ') && string_to_array(first.words, ' ')
              OR EXISTS (
                SELECT FROM ferry.pair p
                JOIN legacy.customers o ON o.id = p.a
                JOIN ferry.standardized s ON s.kind = 'email' AND s.raw = o.email
                WHERE p.b = a.key AND p.entity = 'customer' AND p.state = 'different' AND s.value = e.value
                  AND upper(o.deleted) IN ('T', 'Y', '1') IS NOT TRUE)
            THEN '#' || a.key || ' other name'
            ELSE e.value END AS cluster
FROM affected a
LEFT JOIN legacy.customers c ON c.id = a.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
LEFT JOIN ferry.standardized g ON g.kind = 'given_name' AND g.raw = c.full_name
LEFT JOIN ferry.standardized f ON f.kind = 'family_name' AND f.raw = c.full_name
LEFT JOIN ferry.standardized w ON w.kind = 'name_words' AND w.raw = c.full_name
LEFT JOIN LATERAL (
    -- The oldest account of this address that has a name.
    SELECT n.value AS words
    FROM ferry.standardized s
    JOIN legacy.customers o ON o.email = s.raw
    JOIN ferry.standardized n ON n.kind = 'name_words' AND n.raw = o.full_name
    LEFT JOIN ferry.standardized h ON h.kind = 'given_name' AND h.raw = o.full_name
    LEFT JOIN ferry.standardized l ON l.kind = 'family_name' AND l.raw = o.full_name
    WHERE s.kind = 'email' AND s.value = e.value AND n.value IS NOT NULL
      AND upper(o.deleted) IN ('T', 'Y', '1') IS NOT TRUE
      AND (length(h.value) > 100 OR length(l.value) > 100) IS NOT TRUE
    ORDER BY CASE WHEN o.created_at >= '1995-01-01' AND o.created_at < '2035-01-01' THEN o.created_at END NULLS LAST, o.id
    LIMIT 1
) first ON true
LEFT JOIN clean.inactive n ON n.account_id = a.key
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM ferry.standardized s
        JOIN legacy.customers o ON o.email = s.raw
        LEFT JOIN clean.inactive q ON q.account_id = o.id
        WHERE s.kind = 'email' AND s.value = e.value AND q.account_id IS NULL AND n.account_id IS NOT NULL
    ) AS elsewhere
) seen
WHERE c.id IS NOT NULL
   OR EXISTS (SELECT FROM legacy.consents s WHERE s.customer_id = a.key)
   OR EXISTS (SELECT FROM ferry.witness_consents s WHERE s.customer_id = a.key);

-- lineage: legacy.consents
SELECT w.customer_id FROM changed c JOIN ferry.witness_consents w ON w.id = c.id

-- lineage: legacy.customers
SELECT o.id
FROM changed c
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = e.value
JOIN legacy.customers o ON o.email = s.raw;

-- lineage: clean.inactive
SELECT c.account_id FROM changed c
UNION
SELECT o.id
FROM changed c
JOIN legacy.customers k ON k.id = c.account_id
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = k.email
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = e.value
JOIN legacy.customers o ON o.email = s.raw;

-- lineage: ferry.pair
SELECT x.key FROM changed c CROSS JOIN LATERAL (VALUES (c.a), (c.b)) x (key);
