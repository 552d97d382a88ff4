-- audit:  customers have a given and a family name
-- owner:  Customer care
-- unit:   active customers
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: ask at the next sign-in
SELECT 'all' AS segment, count(*) FILTER (WHERE given_name IS NULL OR family_name IS NULL) AS bad, count(*) AS of
FROM shop.customer
WHERE status = 'active';
