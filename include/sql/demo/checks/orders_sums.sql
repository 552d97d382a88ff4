-- check:    orders are as many and as much on both sides, per currency and month
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   see which orders differ (`shopferry verify orders`), merge them anew
-- Legacy's side: what is not in quarantine and not left out, in the currency that was meant, rounded order by order as the
-- shop keeps it. An order that nobody placed in legacy shows here too.
WITH old AS (
    SELECT u.value AS currency, to_char(o.created_at, 'YYYY-MM') AS month, count(*) AS n, sum(round(o.total, 2)) AS total,
           sum(round(coalesce(o.delivery_cost, 0), 2)) AS delivery
    FROM legacy.orders o
    LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = o.currency
    WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.customer_order' AND q.row_key = o.id::text)
      AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.customer_order' AND l.row_key = o.id::text)
    GROUP BY 1, 2
), new AS (
    SELECT o.currency, to_char(o.placed_at AT TIME ZONE 'Europe/Warsaw', 'YYYY-MM') AS month, count(*) AS n,
           sum(o.total) AS total, sum(o.delivery_cost) AS delivery
    FROM shop.customer_order o
    GROUP BY 1, 2
)
SELECT concat_ws(' ', coalesce(old.currency, new.currency, '?'), coalesce(old.month, new.month, '?')) AS key,
       format('legacy %s orders, total %s, delivery %s; shop %s orders, total %s, delivery %s', coalesce(old.n, 0),
              coalesce(old.total, 0), coalesce(old.delivery, 0), coalesce(new.n, 0), coalesce(new.total, 0),
              coalesce(new.delivery, 0)) AS found
FROM old
FULL JOIN new ON new.currency = old.currency AND new.month = old.month
WHERE (old.n, old.total, old.delivery) IS DISTINCT FROM (new.n, new.total, new.delivery)
ORDER BY key;
