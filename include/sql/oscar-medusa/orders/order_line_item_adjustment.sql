-- entity: public.order_line_item_adjustment
-- key:    id
-- scope:  id
-- source: legacy.order_orderlinediscount(clean.make_id('ordliadj', id)), legacy.order_orderlinediscount
-- source: legacy.order_line(clean.make_id('ordliadj', clean.second(id))), legacy.order_orderdiscount, clean.charge, public.order_line_item
-- index:  legacy.order_orderlinediscount(line_id)
-- index:  legacy.order_orderlinediscount(order_discount_id)
-- The discounts of each line, with tax. Together they are what the line's price went down by, which is what was paid: what Oscar
-- noted beyond that is not carried, and what it did not note is a discount without a code.
WITH asked AS (
    SELECT DISTINCT coalesce(d.line_id, clean.number_of(a.key) - clean.second(0)) AS number
    FROM affected a
    LEFT JOIN legacy.order_orderlinediscount d ON d.id = clean.number_of(a.key)
), noted AS (
    SELECT g.number, g.discount, d.id, x.voucher_code, x.offer_name,
           CASE WHEN d.is_incl_tax THEN d.amount ELSE round(d.amount * (1 + g.rate / 100), 2) END AS amount
    FROM asked q
    JOIN clean.charge g ON g.number = q.number
    JOIN legacy.order_orderlinediscount d ON d.line_id = g.number
    JOIN legacy.order_orderdiscount x ON x.id = d.order_discount_id
), shared AS (
    SELECT n.number, clean.make_id('ordliadj', n.id) AS id, nullif(n.voucher_code, '') AS code, nullif(n.offer_name, '') AS description,
           greatest(0, least(n.amount, n.discount - coalesce(sum(n.amount) OVER (
               PARTITION BY n.number ORDER BY n.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))) AS amount
    FROM noted n
    UNION ALL
    SELECT g.number, clean.make_id('ordliadj', clean.second(g.number)), NULL, 'discount',
           g.discount - (SELECT coalesce(sum(n.amount), 0) FROM noted n WHERE n.number = g.number)
    FROM asked q
    JOIN clean.charge g ON g.number = q.number
)
SELECT s.id,
       li.id AS item_id,
       1 AS version,
       s.code,
       s.description,
       s.amount,
       clean.big(s.amount) AS raw_amount,
       true AS is_tax_inclusive,
       li.created_at,
       li.updated_at,
       '{}'::text[] AS problems
FROM shared s
JOIN affected a ON a.key = s.id
JOIN public.order_line_item li ON li.id = clean.make_id('ordli', s.number)
WHERE s.amount > 0;

-- lineage: legacy.order_orderlinediscount
SELECT clean.make_id('ordliadj', clean.second(c.line_id)) FROM changed c
UNION
SELECT clean.make_id('ordliadj', d.id) FROM changed c JOIN legacy.order_orderlinediscount d ON d.line_id = c.line_id;

-- lineage: legacy.order_orderdiscount
SELECT clean.make_id('ordliadj', o.id)
FROM changed c
JOIN legacy.order_orderlinediscount d ON d.order_discount_id = c.id
JOIN legacy.order_orderlinediscount o ON o.line_id = d.line_id
UNION
SELECT clean.make_id('ordliadj', clean.second(d.line_id)) FROM changed c JOIN legacy.order_orderlinediscount d ON d.order_discount_id = c.id;

-- lineage: clean.charge
SELECT clean.make_id('ordliadj', clean.second(c.number)) FROM changed c WHERE c.number < clean.second(0)
UNION
SELECT clean.make_id('ordliadj', d.id) FROM changed c JOIN legacy.order_orderlinediscount d ON d.line_id = c.number;

-- lineage: public.order_line_item
SELECT clean.make_id('ordliadj', clean.second(clean.number_of(c.id))) FROM changed c WHERE clean.number_of(c.id) < clean.second(0)
UNION
SELECT clean.make_id('ordliadj', d.id) FROM changed c JOIN legacy.order_orderlinediscount d ON d.line_id = clean.number_of(c.id);
