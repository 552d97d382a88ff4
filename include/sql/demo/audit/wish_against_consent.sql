-- audit:  who has consented wishes to receive news
-- owner:  Marketing
-- unit:   granted consents
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: the wish counts; have the page of settings withdraw the consent with it
SELECT c.channel::text AS segment, count(*) FILTER (WHERE NOT w.wanted) AS bad, count(*) AS of
FROM shop.consent c
LEFT JOIN shop.communication_preference w ON w.customer_id = c.customer_id AND w.channel = c.channel
WHERE c.state = 'granted'
GROUP BY c.channel;
