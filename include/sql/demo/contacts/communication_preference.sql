-- entity: shop.communication_preference
-- key:    customer_id, channel
-- scope:  customer_id
-- source: identity.customer(shop_key), shop.customer(id), shop.consent(customer_id), legacy.customers
-- standardize: email legacy.customers (email)
-- standardize: text legacy.customers (news_frequency)
-- standardize: text legacy.customers (news_topics)
-- index:  legacy.customers(email)
-- What a person wishes to hear, from what they said, and since when. A refusal for any purpose ends the wish for that channel, and a
-- wish is there after a consent with proof alone. How often news may come, and what about, is said of e-mail: never is a refusal,
-- and holds for the address, whoever said so there, deleted accounts too. Else the leading account counts, then the oldest that says
-- it; topics are those of all. Who has said nothing has no row: silence, and a claim without proof, are no wish.
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
), person AS (
    SELECT sc.id AS key, sc.email, sc.legacy_customer_id AS leads FROM affected a JOIN shop.customer sc ON sc.id = a.key
), account AS (
    SELECT p.key, c.id, c.id = p.leads AS leads, c.news_frequency, c.news_topics, true AS own
    FROM person p
    JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = p.key
    JOIN legacy.customers c ON c.id = i.legacy_key
    UNION ALL
    SELECT p.key, c.id, false, c.news_frequency, NULL, false
    FROM person p
    JOIN ferry.standardized e ON e.kind = 'email' AND e.value = p.email
    JOIN legacy.customers c ON c.email = e.raw
), stated AS (
    SELECT t.key, t.id, t.leads, o.frequency, s.topics
    FROM account t
    LEFT JOIN ferry.standardized f ON f.kind = 'text' AND f.raw = t.news_frequency
    LEFT JOIN often o ON o.written = lower(btrim(f.value, ' .!'))
    LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = t.news_topics
    CROSS JOIN LATERAL (
        SELECT array_agg(b.topic) AS topics
        FROM regexp_split_to_table(lower(n.value), '[,;|/]') x JOIN about b ON b.written = btrim(x)
    ) s
    WHERE t.own OR o.frequency = 'never'
), topic AS (
    SELECT h.key, array_agg(DISTINCT x ORDER BY x) AS topics FROM stated h, unnest(h.topics) x GROUP BY h.key
), wish AS (
    SELECT g.key, 'email'::shop.contact_channel AS channel,
           CASE WHEN bool_or(g.frequency = 'never') THEN 'never'
                ELSE (array_agg(g.frequency ORDER BY g.leads DESC, g.id) FILTER (WHERE g.frequency IS NOT NULL))[1] END AS frequency,
           t.topics
    FROM stated g
    LEFT JOIN topic t ON t.key = g.key
    WHERE g.frequency IS NOT NULL OR g.topics IS NOT NULL
    GROUP BY g.key, t.topics
), said AS (
    SELECT s.customer_id AS key, s.channel, bool_or(s.state = 'withdrawn') AS refused,
           (CASE WHEN bool_or(s.state = 'withdrawn') THEN max(s.withdrawn_at) FILTER (WHERE s.state = 'withdrawn')
                 ELSE min(s.granted_at) FILTER (WHERE s.state = 'granted') END AT TIME ZONE 'Europe/Warsaw')::date AS since
    FROM affected a
    JOIN shop.consent s ON s.customer_id = a.key
    WHERE s.state <> 'unproven'
    GROUP BY s.customer_id, s.channel
)
SELECT coalesce(d.key, w.key) AS customer_id,
       coalesce(d.channel, w.channel) AS channel,
       CASE WHEN d.refused OR w.frequency = 'never' THEN false WHEN d.key IS NOT NULL THEN true END AS wanted,
       CASE WHEN d.refused OR w.frequency IS DISTINCT FROM 'never' THEN d.since END AS since,
       w.frequency,
       w.topics,
       CASE WHEN w.key IS NOT NULL THEN 'account' ELSE 'consent' END AS source,
       '{}'::text[] AS problems
FROM said d
FULL JOIN wish w ON w.key = d.key AND w.channel = d.channel;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id
UNION
SELECT i.shop_key
FROM changed c
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
JOIN ferry.standardized r ON r.kind = 'email' AND r.value = e.value
JOIN legacy.customers o ON o.email = r.raw
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = o.id;
