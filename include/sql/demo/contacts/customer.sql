-- entity: shop.customer
-- key:    id
-- scope:  id
-- source: identity.customer(shop_key), identity.account, legacy.customers
-- counts: legacy.customers(id) as legacy_customer_id
-- standardize: email legacy.customers (email)
-- standardize: given_name legacy.customers (full_name)
-- standardize: family_name legacy.customers (full_name)
-- standardize: phone legacy.customers (coalesce(bill_country, '') || '|' || phone)
-- standardize: country legacy.customers (bill_country)
-- standardize: postcode legacy.customers (coalesce(bill_country, '') || '|' || bill_postcode)
-- standardize: text legacy.customers (news_frequency)
-- standardize: text legacy.customers (news_topics)
-- One customer per person: of its accounts that may sign in the oldest leads, the others are left out as merged_duplicate.
-- One whose address is another person's leads only where no other may sign in (people may have decided that two are the same).
-- Nobody becomes the leader by signing in: whoever has registered somebody else's address last would get what is theirs.
-- Dates outside 1995–2034 cannot be true here; the line is fixed because the same row must always map the same way.
-- Words for news that nobody knows are noted, of any of the accounts; what the others say is in communication_preference.sql.
WITH often(written) AS (VALUES
    ('never'), ('nigdy'), ('0'), ('n'), ('no'), ('nie'), ('none'), ('off'), ('wcale'), ('brak'),
    ('m'), ('monthly'), ('mies'), ('miesięcznie'), ('co miesiąc'), ('w'), ('weekly'), ('tyg'), ('tydzień'), ('co tydzień'),
    ('a'), ('all'), ('daily'), ('codziennie'), ('każdy'), ('wszystkie'), ('')
), about(written) AS (VALUES
    ('books'), ('książki'), ('ksiazki'), ('clothing'), ('clothes'), ('odzież'), ('odziez'), ('ubrania'), ('home'), ('dom'),
    ('dom i ogród'), ('novelties'), ('new'), ('nowości'), ('nowosci'), ('offers'), ('sale'), ('promocje'), ('wyprzedaż'),
    ('wyprzedaz'), ('toys'), ('zabawki'), ('')
), member AS (
    SELECT a.key, c.id, c.email, c.full_name,
           coalesce(o.cluster, i.cluster) LIKE '#% other name' AS other_name, i.cluster LIKE '#% inactive' AS inactive,
           upper(c.deleted) IN ('T', 'Y', '1') IS TRUE AS deleted,
           upper(c.active) IN ('N', '0') IS NOT TRUE AS active,
           e.value AS address, e.problem AS address_problem, g.value AS given, f.value AS family,
           CASE WHEN c.created_at >= '1995-01-01' AND c.created_at < '2035-01-01'
                THEN c.created_at AT TIME ZONE 'Europe/Warsaw' END AS registered,
           CASE WHEN c.last_login >= '1995-01-01' AND c.last_login < '2035-01-01'
                THEN c.last_login AT TIME ZONE 'Europe/Warsaw' END AS seen,
           p.value AS phone,
           lower(btrim(q.value, ' .!')) NOT IN (SELECT written FROM often) AS frequency_unknown,
           EXISTS (SELECT FROM regexp_split_to_table(lower(t.value), '[,;|/]') x
                   WHERE btrim(x) NOT IN (SELECT written FROM about)) AS topic_unknown,
           array_remove(ARRAY[
               CASE WHEN p.value IS NULL AND p.problem <> 'phone_missing' THEN p.problem END,
               CASE WHEN p.value IS NOT NULL AND p.problem = 'phone_several' THEN p.problem END,
               CASE WHEN f.value IS NULL THEN 'name_missing' ELSE f.problem END,
               CASE WHEN c.created_at < '1995-01-01' OR c.created_at >= '2035-01-01' THEN 'registered_at_implausible' END,
               CASE WHEN c.last_login < '1995-01-01' OR c.last_login >= '2035-01-01' THEN 'last_seen_at_implausible' END,
               CASE WHEN k.value IS NULL AND k.problem <> 'country_missing' THEN 'billing_country_unknown' END,
               CASE WHEN z.value IS NULL AND z.problem <> 'postcode_missing' THEN 'billing_postcode_invalid' END
           ], NULL) AS notes
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = a.key
    JOIN legacy.customers c ON c.id = i.legacy_key
    LEFT JOIN ferry.identity o ON o.entity = 'account' AND o.legacy_key = c.id
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
    LEFT JOIN ferry.standardized g ON g.kind = 'given_name' AND g.raw = c.full_name
    LEFT JOIN ferry.standardized f ON f.kind = 'family_name' AND f.raw = c.full_name
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(c.bill_country, '') || '|' || c.phone
    LEFT JOIN ferry.standardized k ON k.kind = 'country' AND k.raw = c.bill_country
    LEFT JOIN ferry.standardized z ON z.kind = 'postcode'
                                  AND z.raw = coalesce(c.bill_country, '') || '|' || c.bill_postcode
    LEFT JOIN ferry.standardized q ON q.kind = 'text' AND q.raw = c.news_frequency
    LEFT JOIN ferry.standardized t ON t.kind = 'text' AND t.raw = c.news_topics
), ranked AS (
    SELECT m.*,
           row_number() OVER best AS rank,
           first_value(m.other_name) OVER best AS lead_other_name,
           count(*) OVER (PARTITION BY m.key) AS accounts,
           min(m.registered) OVER (PARTITION BY m.key) AS first_registered,
           max(m.seen) OVER (PARTITION BY m.key) AS last_seen,
           bool_or(m.frequency_unknown) OVER (PARTITION BY m.key) AS any_frequency_unknown,
           bool_or(m.topic_unknown) OVER (PARTITION BY m.key) AS any_topic_unknown,
           (array_agg(m.phone) FILTER (WHERE m.phone IS NOT NULL)
               OVER (best ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))[1] AS any_phone
    FROM member m
    WINDOW best AS (PARTITION BY m.key
                    ORDER BY m.active DESC, m.other_name, m.family IS NULL, m.registered NULLS LAST, m.id)
)
SELECT r.key AS id,
       r.address AS email,
       r.given AS given_name,
       r.family AS family_name,
       r.any_phone AS phone,
       CASE WHEN r.active THEN 'active' ELSE 'blocked' END::shop.customer_status AS status,
       r.first_registered AS registered_at,
       r.last_seen AS last_seen_at,
       r.notes || array_remove(ARRAY[
           CASE WHEN r.accounts > 1 THEN 'password_of_several' END,
           CASE WHEN r.any_frequency_unknown THEN 'news_frequency_unknown' END,
           CASE WHEN r.any_topic_unknown THEN 'news_topic_unknown' END
       ], NULL) AS notes,
       r.id::bigint AS legacy_customer_id,
       CASE WHEN r.deleted OR r.inactive THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN btrim(coalesce(r.email, '')) = '' THEN 'email_missing'
                WHEN r.address IS NULL THEN coalesce(r.address_problem, 'email_invalid') END,
           CASE WHEN length(r.given) > 100 OR length(r.family) > 100 THEN 'name_too_long' END,
           CASE WHEN r.lead_other_name THEN 'same_email_other_name' END
       ], NULL) END AS problems,
       CASE WHEN r.deleted THEN 'soft_deleted'
            WHEN r.inactive THEN 'inactive_by_policy'
            WHEN r.rank > 1 THEN 'merged_duplicate' END AS left_out
FROM ranked r;

-- lineage: identity.account
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.legacy_key;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;
