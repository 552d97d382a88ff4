-- audit:  granted consents name a text that may be used
-- owner:  Data protection
-- unit:   granted consents
-- better: lower
-- warn:   0 %
-- error:  0.5 %
-- phase:  contacts
-- remedy: enter the text in shop.consent_text, or take these consents out of use
SELECT c.channel::text AS segment, count(*) FILTER (WHERE t.usable IS NOT TRUE) AS bad, count(*) AS of
FROM shop.consent c
LEFT JOIN shop.consent_text t ON t.version = c.wording_version
WHERE c.state = 'granted'
GROUP BY c.channel;
