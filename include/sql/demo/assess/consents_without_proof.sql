-- finding: consents that were said to be given, without a time or without a wording
-- subject: legacy consents
-- severity: warning
-- consequence: they arrive as unproven and must not be used: the law asks for who, when and to what
-- remedy: find the proof and enter it in legacy before the move, or ask at the next sign-in: asking by e-mail would be marketing itself
SELECT s.id::text AS key, coalesce(s.channel, '') AS example
FROM consents s
WHERE upper(s.granted) IN ('T', 'Y', '1')
  AND s.withdrawn_at IS NULL
  AND (s.granted_at IS NULL OR s.granted_at < '1995-01-01' OR s.granted_at >= '2035-01-01' OR btrim(coalesce(s.wording, '')) = '')
ORDER BY s.id;
