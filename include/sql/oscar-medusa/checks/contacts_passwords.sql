-- check:    no password is carried in plain text, nor one of a blocked account
-- severity: error
-- phase:    contacts
-- target:   public.provider_identity
-- remedy:   merge the log-in named anew
SELECT p.id AS key, 'scheme ' || coalesce(p.provider_metadata->'legacy'->>'scheme', 'none') AS found
FROM public.provider_identity p
JOIN public.auth_identity t ON t.id = p.auth_identity_id
JOIN public.customer c ON c.id = t.app_metadata->>'customer_id'
CROSS JOIN LATERAL (
    SELECT bool_and(h #>> '{}' ~ '^[a-z0-9_]+\$') AS hashed FROM jsonb_path_query(p.provider_metadata, '$.legacy.hash[*]') h
) x
WHERE NOT x.hashed OR x.hashed AND c.metadata->'legacy'->'notes' ? 'inactive';
