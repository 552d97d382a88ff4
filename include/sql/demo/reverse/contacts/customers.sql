-- entity: public.customers
-- key:    id
-- scope:  id
-- source: shop.customer_account(legacy_customer_id), shop.customer, shop.customer_credential, shop.customer_address, shop.consent
-- source: shop.communication_preference
-- index:  shop.customer_account(customer_id)
-- index:  shop.customer_address(source_key)
-- index:  shop.consent(customer_id)
-- E-mail and whether they may sign in go to all old accounts of a person; the rest goes to the one that leads. Where the shop
-- still holds what the old value became there, the old value stays. How often news may come, and what about, goes to all accounts
-- once it was said in the shop.
WITH often(written, frequency) AS (VALUES
    ('never', 'never'), ('nigdy', 'never'), ('0', 'never'), ('n', 'never'), ('no', 'never'), ('nie', 'never'), ('none', 'never'),
    ('off', 'never'), ('wcale', 'never'), ('brak', 'never'),
    ('m', 'monthly'), ('monthly', 'monthly'), ('mies', 'monthly'), ('miesięcznie', 'monthly'), ('co miesiąc', 'monthly'),
    ('w', 'weekly'), ('weekly', 'weekly'), ('tyg', 'weekly'), ('tydzień', 'weekly'), ('co tydzień', 'weekly'),
    ('a', 'all'), ('all', 'all'), ('daily', 'all'), ('codziennie', 'all'), ('każdy', 'all'), ('wszystkie', 'all')
), about(written, topic) AS (VALUES
    ('books', 'books'), ('książki', 'books'), ('ksiazki', 'books'),
    ('clothing', 'clothing'), ('clothes', 'clothing'), ('odzież', 'clothing'), ('odziez', 'clothing'), ('ubrania', 'clothing'),
    ('home', 'home'), ('dom', 'home'), ('dom i ogród', 'home'),
    ('novelties', 'novelties'), ('new', 'novelties'), ('nowości', 'novelties'), ('nowosci', 'novelties'),
    ('offers', 'offers'), ('sale', 'offers'), ('promocje', 'offers'), ('wyprzedaż', 'offers'), ('wyprzedaz', 'offers'),
    ('toys', 'toys'), ('zabawki', 'toys')
), account AS (
    SELECT a.key, m.customer_id, c.legacy_customer_id = a.key AS leads, l.id IS NOT NULL AS old,
           coalesce(m.email, c.email) AS email, c.given_name, c.family_name, c.phone, c.status, c.notes, c.registered_at, c.last_seen_at,
           r.customer_id IS NOT NULL AS has_password, r.login, r.scheme, r.hash, r.salt,
           b.source_key IS NOT NULL AS has_billing, b.company, b.street, b.postcode, b.city, b.country_code,
           n.evidence AS newsletter, w.source IS NOT NULL AS wish_stands, w.frequency, w.topics
    FROM affected a
    JOIN shop.customer_account m ON m.legacy_customer_id = a.key
    JOIN shop.customer c ON c.id = m.customer_id
    LEFT JOIN public.customers l ON l.id = a.key
    LEFT JOIN shop.customer_credential r ON r.customer_id = c.id
    LEFT JOIN shop.customer_address b ON b.source_key = 'billing:' || a.key
    LEFT JOIN shop.consent n ON n.customer_id = c.id AND n.purpose = 'newsletter' AND n.channel = 'email'
    LEFT JOIN shop.communication_preference w ON w.customer_id = c.id AND w.channel = 'email'
)
SELECT t.key AS id,
       CASE WHEN NOT t.leads OR btrim(l.login) = t.login OR (NOT t.has_password AND t.old) THEN l.login
            ELSE t.login END AS login,
       CASE WHEN e.value = t.email THEN l.email ELSE t.email END AS email,
       CASE WHEN (NOT t.leads AND t.old) OR (g.raw IS NOT NULL AND g.value IS NOT DISTINCT FROM t.given_name
                                 AND f.value IS NOT DISTINCT FROM t.family_name) THEN l.full_name
            ELSE nullif(concat_ws(' ', t.given_name, t.family_name), '') END AS full_name,
       CASE WHEN NOT t.leads AND t.phone IS NOT NULL THEN l.phone
            WHEN t.old AND (l.phone IS NULL OR p.raw IS NOT NULL) AND p.value IS NOT DISTINCT FROM t.phone THEN l.phone
            -- Who leads may have none that can be read; then the person's is that of another of their accounts.
            WHEN t.old AND p.value IS NULL AND EXISTS (
                SELECT FROM shop.customer_account o
                JOIN public.customers x ON x.id = o.legacy_customer_id
                JOIN ferry.standardized y ON y.kind = 'phone' AND y.raw = coalesce(x.bill_country, '') || '|' || x.phone
                WHERE o.customer_id = t.customer_id AND y.value = t.phone) THEN l.phone
            ELSE t.phone END AS phone,
       -- Whatever the old application can verify it can verify again; what is taken away here is taken away there. Of several
       -- accounts no password came here (a note says so, until one is set): each keeps its own.
       CASE WHEN NOT t.leads OR h.stays THEN l.pass_hash
            WHEN t.scheme IN ('md5_salted', 'sha256_salted') THEN t.hash || ':' || t.salt
            ELSE t.hash END AS pass_hash,
       CASE WHEN NOT t.leads OR h.stays THEN l.salt
            WHEN t.scheme = 'sha1_salted' THEN t.salt END AS salt,
       CASE WHEN b.company THEN l.bill_company ELSE left(t.company, 255) END AS bill_company,
       CASE WHEN b.street THEN l.bill_street ELSE left(t.street, 255) END AS bill_street,
       CASE WHEN b.place THEN l.bill_postcode ELSE left(t.postcode, 20) END AS bill_postcode,
       CASE WHEN b.city THEN l.bill_city ELSE left(t.city, 128) END AS bill_city,
       CASE WHEN b.place THEN l.bill_country ELSE t.country_code END AS bill_country,
       CASE WHEN s.said IS NULL AND NOT t.old THEN 'N' WHEN s.said IS NULL OR s.said = upper(l.newsletter) THEN l.newsletter
            ELSE s.said END AS newsletter,
       CASE WHEN s.said IS NULL THEN l.newsletter_date ELSE s.date END AS newsletter_date,
       CASE WHEN t.wish_stands OR u.frequency IS NOT DISTINCT FROM t.frequency THEN l.news_frequency ELSE t.frequency END AS news_frequency,
       CASE WHEN t.wish_stands OR u.topics IS NOT DISTINCT FROM t.topics THEN l.news_topics
            ELSE array_to_string(t.topics, ', ') END AS news_topics,
       CASE WHEN t.old AND (upper(l.active) IN ('N', '0') IS NOT TRUE) = (t.status = 'active') THEN l.active
            WHEN t.status = 'active' THEN 'T' ELSE 'N' END AS active,
       CASE WHEN t.old THEN l.deleted ELSE 'N' END AS deleted,
       CASE WHEN t.leads AND t.last_seen_at IS NOT NULL
                 AND (l.last_login IS NULL OR l.last_login AT TIME ZONE 'Europe/Warsaw' < t.last_seen_at)
                 AND NOT EXISTS (SELECT FROM shop.customer_account o JOIN public.customers x ON x.id = o.legacy_customer_id
                                 WHERE o.customer_id = t.customer_id
                                   AND x.last_login AT TIME ZONE 'Europe/Warsaw' = t.last_seen_at)
            THEN t.last_seen_at AT TIME ZONE 'Europe/Warsaw' ELSE l.last_login END AS last_login,
       CASE WHEN t.old THEN l.created_at ELSE t.registered_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       '{}'::text[] AS problems
FROM account t
LEFT JOIN public.customers l ON l.id = t.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = l.email
LEFT JOIN ferry.standardized g ON g.kind = 'given_name' AND g.raw = l.full_name
LEFT JOIN ferry.standardized f ON f.kind = 'family_name' AND f.raw = l.full_name
LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(l.bill_country, '') || '|' || l.phone
CROSS JOIN LATERAL (
    SELECT CASE WHEN t.has_password
                THEN lower(split_part(btrim(l.pass_hash), ':', 1)) = t.hash OR btrim(l.pass_hash) = t.hash
                ELSE t.old AND 'password_of_several' = ANY(t.notes) OR t.old AND btrim(coalesce(l.pass_hash, '')) !~ concat(
                    '^(\$2[abxy]\$[0-9]{2}\$.{53}|\$wp\$2y\$[0-9]{2}\$.{53}|\$[PH]\$.{31}|\$argon2id\$v=[0-9]+\$.*|',
                    '[0-9a-fA-F]{32}(:.+)?|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}:.+)$') END IS TRUE AS stays
) h
LEFT JOIN LATERAL (
    -- What the account's flag says stands in the evidence of the person's consent; an undated refusal is no part of it.
    SELECT x.e->>'newsletter' AS said, x.e->>'date' AS date
    FROM jsonb_array_elements(t.newsletter) x (e) WHERE (x.e->>'account')::bigint = t.key
) s ON true
CROSS JOIN LATERAL (
    -- What the account itself says of news.
    SELECT o.frequency,
           (SELECT array_agg(DISTINCT b.topic ORDER BY b.topic)
            FROM ferry.standardized y
            CROSS JOIN regexp_split_to_table(lower(y.value), '[,;|/]') z
            JOIN about b ON b.written = btrim(z)
            WHERE y.kind = 'text' AND y.raw = l.news_topics) AS topics
    FROM (VALUES (1)) one (x)
    LEFT JOIN ferry.standardized q ON q.kind = 'text' AND q.raw = l.news_frequency
    LEFT JOIN often o ON o.written = lower(btrim(q.value, ' .!'))
) u
CROSS JOIN LATERAL (
    -- Without a billing address in the shop, what legacy has of one stays only if it never became one.
    SELECT t.old AND (l.bill_company IS NULL OR co.raw IS NOT NULL) AND co.value IS NOT DISTINCT FROM t.company
               OR v.never AS company,
           t.old AND (l.bill_street IS NULL OR st.raw IS NOT NULL) AND st.value IS NOT DISTINCT FROM t.street
               OR v.never AS street,
           t.old AND (l.bill_city IS NULL OR ci.raw IS NOT NULL) AND ci.value IS NOT DISTINCT FROM t.city
               OR v.never AS city,
           t.old AND (btrim(coalesce(l.bill_country, '')) = '' OR k.raw IS NOT NULL)
               AND CASE WHEN btrim(coalesce(l.bill_country, '')) = '' THEN 'PL' ELSE k.value END IS NOT DISTINCT FROM t.country_code
               AND (l.bill_postcode IS NULL OR z.raw IS NOT NULL) AND z.value IS NOT DISTINCT FROM t.postcode
               OR v.never OR (t.old AND NOT t.has_billing) AS place
    FROM (VALUES (1)) one (x)
    LEFT JOIN ferry.standardized co ON co.kind = 'text' AND co.raw = l.bill_company
    LEFT JOIN ferry.standardized st ON st.kind = 'text' AND st.raw = l.bill_street
    LEFT JOIN ferry.standardized ci ON ci.kind = 'text' AND ci.raw = l.bill_city
    LEFT JOIN ferry.standardized k ON k.kind = 'country' AND k.raw = l.bill_country
    LEFT JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = coalesce(l.bill_country, '') || '|' || l.bill_postcode
    CROSS JOIN LATERAL (SELECT t.old AND NOT t.has_billing AND st.value IS NULL AND ci.value IS NULL AS never) v
) b;

-- lineage: shop.customer
SELECT m.legacy_customer_id FROM changed c JOIN shop.customer_account m ON m.customer_id = c.id;

-- lineage: shop.customer_credential
SELECT m.legacy_customer_id FROM changed c JOIN shop.customer_account m ON m.customer_id = c.customer_id;

-- lineage: shop.customer_address
SELECT c.legacy_customer_id FROM changed c WHERE c.source_key LIKE 'billing:%';

-- lineage: shop.consent
SELECT m.legacy_customer_id FROM changed c JOIN shop.customer_account m ON m.customer_id = c.customer_id;

-- lineage: shop.communication_preference
SELECT m.legacy_customer_id FROM changed c JOIN shop.customer_account m ON m.customer_id = c.customer_id;
