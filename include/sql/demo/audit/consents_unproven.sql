-- audit:  consents that are claimed are proven
-- owner:  Data protection
-- unit:   consents, without those withdrawn
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: see that each form stores time, text and channel; what is unproven may not be used, nor asked for by mail
SELECT channel::text AS segment, count(*) FILTER (WHERE state = 'unproven') AS bad, count(*) AS of
FROM shop.consent
WHERE state <> 'withdrawn'
GROUP BY channel;
