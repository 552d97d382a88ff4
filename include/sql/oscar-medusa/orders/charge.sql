-- entity: clean.charge
-- key:    number
-- scope:  order_id
-- source: legacy.order_line(order_id), legacy.order_surcharge(order_id), ferry.setting
-- What is charged in an order, whichever shop it comes from: lines and surcharges, before and after discounts, with tax.
-- The price of a piece is what leads to the line's price before discounts exactly: 3 pieces for 10.00 are 3.33333333333333333333 each.
WITH charged AS (
    SELECT l.id::bigint AS number, l.order_id, l.title, l.quantity AS pieces, l.partner_sku AS sku, l.upc AS barcode, l.tax_code, l.status,
           l.unit_price_incl_tax AS unit_price, l.line_price_before_discounts_excl_tax AS net, l.line_price_incl_tax AS total,
           greatest(l.line_price_before_discounts_incl_tax, l.line_price_incl_tax) AS gross
    FROM affected a
    JOIN legacy.order_line l ON l.order_id = a.key
    UNION ALL
    SELECT clean.second(s.id), s.order_id, s.name, 1, s.code, NULL, s.tax_code, NULL, s.incl_tax, s.excl_tax, s.incl_tax, s.incl_tax
    FROM affected a
    JOIN legacy.order_surcharge s ON s.order_id = a.key
)
SELECT c.number,
       c.order_id,
       coalesce(nullif(btrim(c.title), ''), nullif(btrim(c.sku), ''), '?') AS title,
       nullif(btrim(c.sku), '') AS sku,
       nullif(btrim(c.barcode), '') AS barcode,
       nullif(btrim(c.tax_code), '') AS tax_code,
       nullif(c.status, '') AS status,
       c.pieces::numeric AS quantity,
       CASE WHEN c.pieces = 0 THEN coalesce(c.unit_price, 0)
            WHEN round(c.gross / c.pieces, 2) * c.pieces = c.gross THEN round(c.gross / c.pieces, 2)
            ELSE round(round(c.gross, 20) / c.pieces, 20) END AS unit_price,
       CASE WHEN c.pieces = 0 THEN 0 ELSE c.gross END AS gross,
       CASE WHEN c.pieces = 0 THEN 0 ELSE c.gross - c.total END AS discount,
       clean.tax_rate(c.gross, c.net, c.pieces, (SELECT value FROM ferry.setting WHERE name = 'vat_rates')) AS rate,
       '{}'::text[] AS problems
FROM charged c;
