-- title: Invoices per year
-- phase: orders
-- about: How many invoices were issued in each year. Those in quarantine are not in the new shop yet.

-- name: legacy
-- Invoices of the old shop.
SELECT coalesce(to_char(t.issued_at, 'YYYY'), 'no date') AS segment, count(*) AS invoices
FROM order_invoices t
GROUP BY 1;

-- name: shop
-- Invoices of the new shop that came from there.
SELECT to_char(t.issued_at AT TIME ZONE 'Europe/Warsaw', 'YYYY') AS segment, count(*) AS invoices
FROM shop.order_invoice t
WHERE EXISTS (SELECT FROM legacy.order_invoices l WHERE l.id = t.id)
GROUP BY 1;

-- name: held
-- Invoices in quarantine.
SELECT coalesce(to_char(t.issued_at, 'YYYY'), 'no date') AS segment, count(*) AS invoices
FROM legacy.order_invoices t
JOIN ferry.quarantine q ON q.entity = 'shop.order_invoice' AND q.row_key = t.id::text
GROUP BY 1;
