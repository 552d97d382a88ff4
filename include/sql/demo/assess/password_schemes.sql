-- finding: passwords, by the scheme that their hash shows
-- subject: legacy customers.pass_hash
-- severity: note
-- consequence: the sign-in of the new shop must verify every one of these, and hash anew at the next sign-in
-- remedy: try one password of each scheme against the new sign-in before the cutover
SELECT h.scheme AS key, min(h.hash) AS example, count(*) AS rows
FROM (SELECT btrim(coalesce(c.pass_hash, '')) AS hash,
             CASE WHEN btrim(c.pass_hash) ~ '^\$2[abxy]\$[0-9]{2}\$.{53}$' THEN 'bcrypt'
                  WHEN btrim(c.pass_hash) ~ '^\$wp\$2y\$[0-9]{2}\$.{53}$' THEN 'wp_bcrypt'
                  WHEN btrim(c.pass_hash) ~ '^\$[PH]\$.{31}$' THEN 'phpass'
                  WHEN btrim(c.pass_hash) ~ '^\$argon2id\$v=[0-9]+\$' THEN 'argon2id'
                  WHEN btrim(c.pass_hash) ~* '^[0-9a-f]{32}:.+$' THEN 'md5_salted'
                  WHEN btrim(c.pass_hash) ~* '^[0-9a-f]{64}:.+$' THEN 'sha256_salted'
                  WHEN btrim(c.pass_hash) ~* '^[0-9a-f]{32}$' AND btrim(coalesce(c.salt, '')) = '' THEN 'md5'
                  WHEN btrim(c.pass_hash) ~* '^[0-9a-f]{32}$' THEN 'md5_salted'
                  WHEN btrim(c.pass_hash) ~* '^[0-9a-f]{40}$' AND btrim(coalesce(c.salt, '')) = '' THEN 'sha1'
                  WHEN btrim(c.pass_hash) ~* '^[0-9a-f]{40}$' THEN 'sha1_salted'
                  WHEN btrim(coalesce(c.pass_hash, '')) = '' THEN 'none'
                  ELSE 'unknown' END AS scheme
      FROM customers c) h
GROUP BY h.scheme
ORDER BY count(*) DESC, h.scheme;
