-- check:    invoices are as many and as much on both sides, per currency and year of issue, and each is kept for five years at least
-- severity: error
-- phase:    orders
-- target:   shop.order_invoice
-- remedy:   see which invoices differ (`shopferry verify orders`), merge their orders anew
-- Legacy's side: what is not in quarantine. An invoice of a customer who has left counts like any other.
WITH old AS (
    SELECT u.value AS currency, to_char(t.issued_at, 'YYYY') AS year, count(*) AS n, sum(round(t.total, 2)) AS total
    FROM legacy.order_invoices t
    LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = t.currency
    WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.order_invoice' AND q.row_key = t.id::text)
      AND NOT EXISTS (SELECT FROM ferry.left_out l WHERE l.entity = 'shop.order_invoice' AND l.row_key = t.id::text)
    GROUP BY 1, 2
), new AS (
    SELECT t.currency, to_char(t.issued_at AT TIME ZONE 'Europe/Warsaw', 'YYYY') AS year, count(*) AS n, sum(t.total) AS total
    FROM shop.order_invoice t
    GROUP BY 1, 2
)
SELECT concat_ws(' ', coalesce(old.currency, new.currency, '?'), coalesce(old.year, new.year, '?')) AS key,
       format('legacy %s invoices, total %s; shop %s invoices, total %s', coalesce(old.n, 0), coalesce(old.total, 0),
              coalesce(new.n, 0), coalesce(new.total, 0)) AS found
FROM old
FULL JOIN new ON new.currency = old.currency AND new.year = old.year
WHERE (old.n, old.total) IS DISTINCT FROM (new.n, new.total)
UNION ALL
SELECT t.id::text, 'issued in ' || to_char(t.issued_at AT TIME ZONE 'Europe/Warsaw', 'YYYY') || ', kept until ' || t.keep_until
FROM shop.order_invoice t
WHERE t.keep_until < date_trunc('year', t.issued_at AT TIME ZONE 'Europe/Warsaw') + interval '6 years' - interval '1 day'
ORDER BY key;
