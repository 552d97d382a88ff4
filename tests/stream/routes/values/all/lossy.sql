-- entity: shop.lossy
-- key:    id
-- scope:  id
-- source: legacy.lossy(id)
-- counts: legacy.lossy(id) as id
SELECT l.id, l.hour_tz, l.span, l.bit1, l.bit12, l.bits, l.cash, l.numbers, l.words, l.days, l.amounts, l.feelings, l.tags,
       l.duo, l.many, l.fro, l.place, l.label, l.letter, l.search, l.words2, '{}'::text[] AS problems
FROM affected a
JOIN legacy.lossy l ON l.id = a.key;
