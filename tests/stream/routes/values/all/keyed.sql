-- entity: shop.keyed
-- key:    code, day
-- scope:  code
-- source: legacy.keyed(code)
SELECT k.code, k.day, k.note, k.feeling, k._seen AS seen, '{}'::text[] AS problems
FROM affected a
JOIN legacy.keyed k ON k.code = a.key;
