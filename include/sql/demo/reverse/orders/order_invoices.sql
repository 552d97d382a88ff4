-- entity: public.order_invoices
-- key:    id
-- scope:  id
-- source: shop.order_invoice(id)
-- after:  orders/orders
-- Invoices, each by itself, as printed: what legacy wrote stays where it still means what the shop holds; a tax number means
-- something with its country only.
SELECT i.id,
       i.order_id,
       CASE WHEN btrim(l.number) = i.number THEN l.number ELSE i.number END AS number,
       CASE WHEN l.id IS NOT NULL AND (l.buyer_name IS NULL OR n.raw IS NOT NULL) AND n.value IS NOT DISTINCT FROM i.buyer_name
            THEN l.buyer_name ELSE left(i.buyer_name, 255) END AS buyer_name,
       CASE WHEN l.id IS NOT NULL AND (l.buyer_street IS NULL OR s.raw IS NOT NULL) AND s.value IS NOT DISTINCT FROM i.buyer_street
            THEN l.buyer_street ELSE left(i.buyer_street, 255) END AS buyer_street,
       CASE WHEN l.id IS NOT NULL AND (l.buyer_postcode IS NULL OR z.raw IS NOT NULL) AND z.value IS NOT DISTINCT FROM i.buyer_postcode
            THEN l.buyer_postcode ELSE left(i.buyer_postcode, 20) END AS buyer_postcode,
       CASE WHEN l.id IS NOT NULL AND (l.buyer_city IS NULL OR c.raw IS NOT NULL) AND c.value IS NOT DISTINCT FROM i.buyer_city
            THEN l.buyer_city ELSE left(i.buyer_city, 128) END AS buyer_city,
       CASE WHEN l.id IS NOT NULL AND (l.buyer_country IS NULL OR k.raw IS NOT NULL) AND k.value IS NOT DISTINCT FROM i.buyer_country
            THEN l.buyer_country ELSE left(i.buyer_country, 64) END AS buyer_country,
       CASE WHEN l.id IS NOT NULL AND (l.tax_number IS NULL OR x.raw IS NOT NULL) AND k.value IS NOT DISTINCT FROM i.buyer_country
                 AND coalesce(x.value, nullif(btrim(l.tax_number), '')) IS NOT DISTINCT FROM i.tax_number THEN l.tax_number
            ELSE i.tax_number END AS tax_number,
       CASE WHEN round(l.total, 2) = i.total THEN l.total ELSE i.total END AS total,
       CASE WHEN u.value = i.currency THEN l.currency ELSE i.currency END AS currency,
       CASE WHEN l.issued_at AT TIME ZONE 'Europe/Warsaw' = i.issued_at THEN l.issued_at
            ELSE i.issued_at AT TIME ZONE 'Europe/Warsaw' END AS issued_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.order_invoice i ON i.id = a.key
LEFT JOIN public.order_invoices l ON l.id = i.id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.buyer_name
LEFT JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = l.buyer_street
LEFT JOIN ferry.standardized z ON z.kind = 'text' AND z.raw = l.buyer_postcode
LEFT JOIN ferry.standardized c ON c.kind = 'text' AND c.raw = l.buyer_city
LEFT JOIN ferry.standardized k ON k.kind = 'text' AND k.raw = l.buyer_country
LEFT JOIN ferry.standardized u ON u.kind = 'currency' AND u.raw = l.currency
LEFT JOIN ferry.standardized x ON x.kind = 'tax_number' AND x.raw = coalesce(l.buyer_country, '') || '|' || l.tax_number;
