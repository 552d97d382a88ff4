-- entity: shop.customer_credential
-- key:    customer_id
-- scope:  customer_id
-- source: identity.customer(shop_key), legacy.customers, shop.customer(id)
-- The password of the only account, with the scheme that its hash shows; what nobody can verify is left out and the
-- customer sets a new password. So does who is made of several accounts: only the way by e-mail proves whose they are.
-- A plain password is never carried: it looks like no scheme.
WITH held AS (
    SELECT sc.id AS customer_id, c.id AS legacy_customer_id, btrim(c.login) AS login,
           btrim(coalesce(c.pass_hash, '')) AS hash, nullif(btrim(c.salt), '') AS salt,
           (SELECT count(*) FROM ferry.identity i WHERE i.entity = 'customer' AND i.shop_key = a.key) AS accounts
    FROM affected a
    JOIN shop.customer sc ON sc.id = a.key
    JOIN legacy.customers c ON c.id = sc.legacy_customer_id
), seen AS MATERIALIZED (  -- once for each row, and not wherever a column is read
    SELECT h.*,
           CASE WHEN h.hash ~ '^\$2[abxy]\$[0-9]{2}\$.{53}$' THEN 'bcrypt'
                WHEN h.hash ~ '^\$wp\$2y\$[0-9]{2}\$.{53}$' THEN 'wp_bcrypt'
                WHEN h.hash ~ '^\$[PH]\$.{31}$' THEN 'phpass'
                WHEN h.hash ~ '^\$argon2id\$v=[0-9]+\$' THEN 'argon2id'
                WHEN h.hash ~* '^[0-9a-f]{32}:.+$' THEN 'md5_salted'
                WHEN h.hash ~* '^[0-9a-f]{64}:.+$' THEN 'sha256_salted'
                WHEN h.hash ~* '^[0-9a-f]{32}$' THEN CASE WHEN h.salt IS NULL THEN 'md5' ELSE 'md5_salted' END
                WHEN h.hash ~* '^[0-9a-f]{40}$' THEN CASE WHEN h.salt IS NULL THEN 'sha1' ELSE 'sha1_salted' END
           END AS scheme
    FROM held h
)
SELECT s.customer_id,
       nullif(s.login, '') AS login,
       s.scheme,
       CASE WHEN s.scheme IN ('md5', 'md5_salted', 'sha1', 'sha1_salted', 'sha256_salted')
            THEN lower(split_part(s.hash, ':', 1)) ELSE s.hash END AS hash,
       CASE WHEN s.scheme IN ('md5_salted', 'sha256_salted') AND strpos(s.hash, ':') > 0
            THEN substr(s.hash, strpos(s.hash, ':') + 1)
            WHEN s.scheme IN ('md5_salted', 'sha1_salted') THEN s.salt END AS salt,
       s.legacy_customer_id::bigint AS legacy_customer_id,
       '{}'::text[] AS problems,
       CASE WHEN s.accounts > 1 THEN 'password_of_several'
            WHEN s.hash = '' THEN 'password_missing'
            WHEN s.scheme IS NULL THEN 'password_scheme_unknown' END AS left_out
FROM seen s;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;
