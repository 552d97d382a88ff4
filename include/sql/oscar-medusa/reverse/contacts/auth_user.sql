-- entity: public.auth_user
-- key:    id
-- scope:  id
-- source: shop.customer(clean.legacy_id(metadata))
-- Accounts. Where Medusa still holds what the old value became there, the old value stays. Medusa's own hash opens nothing in Django:
-- an old account keeps its old password, and one that was born in Medusa has none until its owner sets one.
-- Who was deleted in Medusa may not sign in any more; the row stays, for orders hang on it. Who was erased there has no e-mail either,
-- which is how the way there knows a deleted account.
SELECT a.key AS id,
       coalesce(l.password, '!born in the new shop') AS password,
       l.last_login,
       coalesce(l.is_superuser, false) AS is_superuser,
       coalesce(l.username, 'medusa-' || a.key) AS username,
       CASE WHEN l.id IS NOT NULL AND nullif(btrim(l.first_name), '') IS NOT DISTINCT FROM c.first_name THEN l.first_name
            ELSE left(coalesce(c.first_name, ''), 150) END AS first_name,
       CASE WHEN l.id IS NOT NULL AND nullif(btrim(l.last_name), '') IS NOT DISTINCT FROM c.last_name THEN l.last_name
            ELSE left(coalesce(c.last_name, ''), 150) END AS last_name,
       CASE WHEN e.value = c.email THEN l.email ELSE coalesce(c.email, '') END AS email,
       coalesce(l.is_staff, false) AS is_staff,
       c.deleted_at IS NULL AND coalesce(l.is_active, true) AS is_active,
       coalesce(l.date_joined, c.created_at) AS date_joined,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.customer c ON clean.legacy_id(c.metadata) = a.key AND c.has_account
LEFT JOIN public.auth_user l ON l.id = a.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = l.email;
