-- entity: shop.carried
-- key:    id
-- scope:  id
-- source: legacy.carried(id)
-- counts: legacy.carried(id) as id
SELECT c.id, c.small, c.big, c.single, c.dbl, c.exact, c.wide, c.flag, c.words, c.short, c.padded, c.folded, c.day, c.at, c.at3,
       c.at_tz, c.hour, c.hour3, c.number, c.raw, c.doc::text::json AS doc, c.docb, c.host, c.net, c.card, c.feeling, c.cost,
       c.born, '{}'::text[] AS problems
FROM affected a
JOIN legacy.carried c ON c.id = a.key;
