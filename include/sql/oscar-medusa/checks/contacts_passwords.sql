-- check:    no password is carried in plain text, nor one of several accounts or of a blocked one
-- severity: error
-- phase:    contacts
-- target:   public.provider_identity
-- remedy:   merge the log-in named anew
SELECT p.id AS key, 'scheme ' || coalesce(p.provider_metadata->'legacy'->>'scheme', 'none') AS found
FROM public.provider_identity p
JOIN public.auth_identity t ON t.id = p.auth_identity_id
JOIN public.customer c ON c.id = t.app_metadata->>'customer_id'
WHERE p.provider_metadata->'legacy'->>'hash' IS NOT NULL
  AND (p.provider_metadata->'legacy'->>'hash' !~ '^[a-z0-9_]+\$'
       OR c.metadata->'legacy'->'notes' ?| ARRAY['password_of_several', 'inactive']);
