-- audit:  blocked customers have no consent left
-- owner:  Data protection
-- unit:   blocked customers
-- better: lower
-- warn:   0.5 points worse
-- error:  10 points worse
-- phase:  contacts
-- remedy: a blocked customer gets no mail; have the block withdraw the consents
SELECT 'all' AS segment,
       count(*) FILTER (WHERE EXISTS (SELECT FROM shop.consent s WHERE s.customer_id = c.id AND s.state = 'granted')) AS bad,
       count(*) AS of
FROM shop.customer c
WHERE c.status = 'blocked';
