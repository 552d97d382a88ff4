-- entity: shop.order_invoice
-- key:    id
-- scope:  order_id
-- source: legacy.order_invoices(order_id), legacy.orders(id), shop.customer_order(id)
-- counts: legacy.order_invoices(id) as id
-- standardize: text legacy.order_invoices (buyer_name)
-- standardize: text legacy.order_invoices (buyer_street)
-- standardize: text legacy.order_invoices (buyer_postcode)
-- standardize: text legacy.order_invoices (buyer_city)
-- standardize: text legacy.order_invoices (buyer_country)
-- standardize: currency legacy.order_invoices (currency)
-- standardize: tax_number legacy.order_invoices (coalesce(buyer_country, '') || '|' || tax_number)
-- Invoices as they were issued: the buyer as printed, broken encodings apart, and no address is judged. Of a customer who has
-- left they stay whole until their date, for that is what they are kept for.
SELECT t.id,
       t.order_id,
       btrim(t.number) AS number,
       n.value AS buyer_name,
       s.value AS buyer_street,
       z.value AS buyer_postcode,
       c.value AS buyer_city,
       k.value AS buyer_country,
       coalesce(x.value, nullif(btrim(t.tax_number), '')) AS tax_number,
       round(t.total, 2) AS total,
       u.value AS currency,
       t.issued_at AT TIME ZONE 'Europe/Warsaw' AS issued_at,
       -- Five years from the end of the year of issue: the shop is Polish. Counsel confirms the figure.
       CASE WHEN t.issued_at >= '1995-01-01' AND t.issued_at < '2035-01-01'
            THEN make_date(extract(year FROM t.issued_at)::integer + 5, 12, 31) END AS keep_until,
       array_remove(ARRAY[CASE WHEN x.problem <> 'tax_number_missing' THEN x.problem END], NULL) AS notes,
       array_remove(ARRAY[
           CASE WHEN o.id IS NULL THEN 'order_missing' WHEN co.id IS NULL THEN 'order_quarantined' END,
           CASE WHEN btrim(coalesce(t.number, '')) = '' THEN 'number_missing' END,
           CASE WHEN t.total IS NULL THEN 'total_missing' WHEN t.total = 'NaN' THEN 'total_not_a_number'
                WHEN t.total < 0 THEN 'total_negative' END,
           CASE WHEN u.value IS NULL THEN 'currency_unknown' END,
           CASE WHEN t.issued_at IS NULL THEN 'date_missing'
                WHEN t.issued_at < '1995-01-01' THEN 'date_implausible'
                WHEN t.issued_at >= '2035-01-01' THEN 'date_in_future' END
       ], NULL) AS problems
FROM affected a
JOIN legacy.order_invoices t ON t.order_id = a.key
LEFT JOIN legacy.orders o ON o.id = t.order_id
LEFT JOIN shop.customer_order co ON co.id = t.order_id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = t.buyer_name
LEFT JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = t.buyer_street
LEFT JOIN ferry.standardized z ON z.kind = 'text' AND z.raw = t.buyer_postcode
LEFT JOIN ferry.standardized c ON c.kind = 'text' AND c.raw = t.buyer_city
LEFT JOIN ferry.standardized k ON k.kind = 'text' AND k.raw = t.buyer_country
LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = t.currency
LEFT JOIN ferry.standardized x ON x.kind = 'tax_number' AND x.raw = coalesce(t.buyer_country, '') || '|' || t.tax_number;
