-- audit:  customers can sign in with a password
-- owner:  Platform
-- unit:   active customers
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: send those who order a link to set one: a service mail, which needs no consent
SELECT 'all' AS segment, count(*) FILTER (WHERE p.customer_id IS NULL) AS bad, count(*) AS of
FROM shop.customer c
LEFT JOIN shop.customer_credential p ON p.customer_id = c.id
WHERE c.status = 'active';
