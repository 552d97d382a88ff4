-- audit:  a phone number belongs to one customer
-- owner:  Customer care
-- unit:   customers with a phone number
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: look whether they are one person with two accounts; couples share a number, too
SELECT 'all' AS segment, coalesce(sum(customers) FILTER (WHERE customers > 1), 0) AS bad, coalesce(sum(customers), 0) AS of
FROM (SELECT count(*) AS customers FROM shop.customer WHERE phone IS NOT NULL GROUP BY phone) shared;
