-- finding: consents for a channel that the mapping does not know
-- subject: legacy consents.channel
-- severity: warning
-- consequence: they go to quarantine as channel_unknown; a refusal among them refuses all channels
-- remedy: correct them in legacy, or teach the mapping contacts/consent the code
SELECT s.id::text AS key, coalesce(s.channel, '') AS example
FROM consents s
WHERE lower(btrim(coalesce(s.channel, ''))) NOT IN
      ('email', 'e-mail', 'e', 'mail', 'sms', 's', 'mms', 'phone', 'tel', 't', 'post', 'p', 'poczta')
ORDER BY s.id;
