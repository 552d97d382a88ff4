-- check:    nobody who wants no news, in any account with that e-mail, is addressed by e-mail
-- severity: error
-- phase:    contacts
-- target:   shop.customer
-- remedy:   stop mailings to them at once, then merge the customers named anew
-- Once the new shop is open its customers may have changed their mind there.
SELECT DISTINCT a.customer_id::text AS key, 'account ' || c.id || ' wants news never' AS found
FROM shop.audience a
JOIN shop.customer s ON s.id = a.customer_id
JOIN ferry.standardized e ON e.kind = 'email' AND e.value = s.email
JOIN legacy.customers c ON c.email = e.raw
WHERE a.channel = 'email'
  AND lower(btrim(c.news_frequency, ' .!')) IN ('never', 'nigdy', '0', 'n', 'no', 'nie', 'none', 'off', 'wcale', 'brak')
  AND NOT EXISTS (SELECT FROM ferry.route r WHERE r.active = 'shop');
