-- check:    every customer who has moved has a profile, and is in exactly one segment of each scheme
-- severity: error
-- phase:    insight
-- target:   shop.customer_segment
-- remedy:   merge the customer named anew
SELECT c.id::text AS key,
       concat_ws(', ', CASE WHEN count(p.customer_id) = 0 THEN 'no profile' END, count(DISTINCT g.scheme) || ' schemes',
                 count(g.scheme) || ' segments') AS found
FROM shop.customer c
LEFT JOIN shop.customer_profile p ON p.customer_id = c.id
LEFT JOIN shop.customer_segment g ON g.customer_id = c.id
WHERE EXISTS (SELECT FROM ferry.identity i WHERE i.entity = 'customer' AND i.shop_key = c.id)
  AND NOT EXISTS (SELECT FROM ferry.route r WHERE r.active = 'shop')  -- who has registered since the last tick has none yet
GROUP BY c.id
HAVING count(DISTINCT p.customer_id) <> 1 OR count(DISTINCT g.scheme) <> 5 OR count(g.scheme) <> 5;
