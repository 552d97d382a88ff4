-- check:    every customer with an account has one log-in, by its own e-mail in lower case
-- severity: error
-- phase:    contacts
-- target:   public.customer
-- remedy:   merge the customer named anew
-- Without one a person is locked out for good: no password can be set, and the e-mail cannot be registered again.
SELECT c.id AS key,
       format('%s log-ins, of which %s by its e-mail', count(p.id), count(p.id) FILTER (WHERE p.entity_id = c.email)) AS found
FROM public.customer c
LEFT JOIN public.auth_identity t ON t.app_metadata->>'customer_id' = c.id
LEFT JOIN public.provider_identity p ON p.auth_identity_id = t.id AND p.provider = 'emailpass'
WHERE c.has_account AND c.deleted_at IS NULL
GROUP BY c.id
HAVING count(p.id) <> 1 OR count(p.id) FILTER (WHERE p.entity_id = c.email AND c.email = lower(c.email)) <> 1;
