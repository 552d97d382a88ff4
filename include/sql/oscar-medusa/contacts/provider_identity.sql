-- entity: public.provider_identity
-- key:    id
-- scope:  auth_identity_id
-- source: identity.login(shop_id), identity.customer, public.customer, legacy.auth_user, public.auth_identity(id)
-- The e-mail that is typed at log-in, in lower case, and Django's hash for a log-in provider that can verify it (scheme django).
-- Who has several accounts that may sign in, none, or a hash of another kind has no password here, and sets a new one by e-mail.
-- A plain password is never carried: it looks like no scheme.
WITH held AS (
    SELECT t.id AS auth_identity_id, min(l.shop_key) AS number, c.id AS customer_id, c.email, c.created_at, c.updated_at,
           count(*) FILTER (WHERE u.is_active) AS active,
           min(u.password) FILTER (WHERE u.is_active) AS hash
    FROM affected a
    JOIN public.auth_identity t ON t.id = a.key
    JOIN ferry.identity l ON l.entity = 'login' AND l.shop_id = a.key
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = l.legacy_key
    JOIN public.customer c ON c.id = i.shop_id
    JOIN legacy.auth_user u ON u.id = l.legacy_key
    GROUP BY t.id, c.id
)
SELECT right(clean.make_id('provider', h.number), 26) AS id,
       h.email AS entity_id,
       'emailpass' AS provider,
       h.auth_identity_id,
       CASE WHEN h.active = 1 AND h.hash ~ '^(pbkdf2_sha256|pbkdf2_sha1|bcrypt|bcrypt_sha256|md5)\$.+'
            THEN jsonb_build_object('legacy', jsonb_build_object('scheme', 'django', 'hash', h.hash))
            ELSE '{}'::jsonb END AS provider_metadata,
       h.created_at,
       h.updated_at,
       '{}'::text[] AS problems
FROM held h;

-- lineage: identity.customer
SELECT l.shop_id FROM changed c JOIN ferry.identity l ON l.entity = 'login' AND l.legacy_key = c.legacy_key;

-- lineage: public.customer
SELECT l.shop_id
FROM changed c
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_id = c.id
JOIN ferry.identity l ON l.entity = 'login' AND l.legacy_key = i.legacy_key;

-- lineage: legacy.auth_user
SELECT l.shop_id FROM changed c JOIN ferry.identity l ON l.entity = 'login' AND l.legacy_key = c.id;
