-- audit:  consents count for 60 days more
-- owner:  Marketing
-- unit:   granted consents
-- better: lower
-- warn:   0.5 points worse
-- error:  10 points worse
-- phase:  contacts
-- remedy: ask these people again while they may still be written to
SELECT channel::text AS segment, count(*) FILTER (WHERE expires_at <= now() + interval '60 days') AS bad, count(*) AS of
FROM shop.consent
WHERE state = 'granted'
GROUP BY channel;
