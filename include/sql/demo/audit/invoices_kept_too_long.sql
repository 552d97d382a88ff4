-- audit:  invoices go when the law does not want them any more
-- owner:  Data protection
-- unit:   invoices
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  orders
-- remedy: delete those whose keep_until has passed
SELECT 'all' AS segment, count(*) FILTER (WHERE keep_until < current_date) AS bad, count(*) AS of
FROM shop.order_invoice;
