-- check:    order lines are as many and as much on both sides, per currency and month of the order
-- severity: error
-- phase:    orders
-- target:   shop.order_line
-- remedy:   see which lines differ (`shopferry verify orders`), merge their orders anew
-- Legacy's side: what is not in quarantine, with the price of the line, or pieces times price where none was written.
WITH old AS (
    SELECT u.value AS currency, to_char(o.created_at, 'YYYY-MM') AS month, count(*) AS n, sum(t.quantity) AS pieces,
           sum(round(coalesce(t.line_total, t.quantity * t.unit_price), 2)) AS total
    FROM legacy.order_items t
    LEFT JOIN legacy.orders o ON o.id = t.order_id
    LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = o.currency
    WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.order_line' AND q.row_key = t.id::text)
      AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.order_line' AND l.row_key = t.id::text)
    GROUP BY 1, 2
), new AS (
    SELECT t.currency, to_char(o.placed_at AT TIME ZONE 'Europe/Warsaw', 'YYYY-MM') AS month, count(*) AS n,
           sum(t.quantity) AS pieces, sum(t.total) AS total
    FROM shop.order_line t
    JOIN shop.customer_order o ON o.id = t.order_id
    GROUP BY 1, 2
)
SELECT concat_ws(' ', coalesce(old.currency, new.currency, '?'), coalesce(old.month, new.month, '?')) AS key,
       format('legacy %s lines, %s pieces, total %s; shop %s lines, %s pieces, total %s', coalesce(old.n, 0),
              coalesce(old.pieces, 0), coalesce(old.total, 0), coalesce(new.n, 0), coalesce(new.pieces, 0),
              coalesce(new.total, 0)) AS found
FROM old
FULL JOIN new ON new.currency = old.currency AND new.month = old.month
WHERE (old.n, old.pieces, old.total) IS DISTINCT FROM (new.n, new.pieces, new.total)
ORDER BY key;
