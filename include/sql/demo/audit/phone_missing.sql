-- audit:  customers have a phone number
-- owner:  Customer care
-- unit:   active customers
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: see that the checkout asks for it; a courier needs it
SELECT 'all' AS segment, count(*) FILTER (WHERE phone IS NULL) AS bad, count(*) AS of
FROM shop.customer
WHERE status = 'active';
