-- finding: wishes about news that no one can read
-- subject: legacy customers.news_frequency
-- severity: warning
-- consequence: they arrive as not said, with a note at the customer; a refusal that cannot be read refuses nothing
-- remedy: correct them in legacy, or teach the mapping the word
WITH said(id, word, known) AS (
    SELECT c.id, c.news_frequency,
           lower(btrim(c.news_frequency, ' .!')) IN (
               '', 'never', 'nigdy', '0', 'n', 'no', 'nie', 'none', 'off', 'wcale', 'brak', 'm', 'monthly', 'mies', 'miesięcznie',
               'co miesiąc', 'w', 'weekly', 'tyg', 'tydzień', 'co tydzień', 'a', 'all', 'daily', 'codziennie', 'każdy', 'wszystkie')
    FROM customers c
    UNION ALL
    SELECT c.id, btrim(x),
           lower(btrim(x)) IN ('', 'books', 'książki', 'ksiazki', 'clothing', 'clothes', 'odzież', 'odziez', 'ubrania', 'home', 'dom',
                               'dom i ogród', 'novelties', 'new', 'nowości', 'nowosci', 'offers', 'sale', 'promocje', 'wyprzedaż',
                               'wyprzedaz', 'toys', 'zabawki')
    FROM customers c CROSS JOIN regexp_split_to_table(c.news_topics, '[,;|/]') x
)
SELECT min(id)::text AS key, word AS example, count(*) AS rows
FROM said
WHERE NOT known
GROUP BY word
ORDER BY min(id), word;
