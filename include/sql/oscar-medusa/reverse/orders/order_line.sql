-- entity: public.order_line
-- key:    id
-- scope:  id
-- source: shop.order_line_item(clean.legacy_id(metadata)), shop.order_item, shop.order, shop.order_line_item_tax_line
-- source: shop.order_line_item_adjustment
-- index:  shop.order_item(item_id)
-- index:  shop.order_item(order_id)
-- index:  shop.order_line_item_tax_line(item_id)
-- index:  shop.order_line_item_adjustment(item_id)
-- after:  orders/order_order
-- Lines of the order's newest version. A line whose price and pieces are as they were keeps all its amounts. One that was taken out
-- of the order stays with no piece, for Oscar's discounts and deliveries hang on it.
WITH line AS (
    SELECT a.key, i.title, i.variant_sku, i.variant_barcode, q.quantity, clean.legacy_id(o.metadata) AS order_id,
           round(p.gross, 2) AS before_incl, round(p.gross / (1 + r.rate / 100), 2) AS before_excl,
           round(w.gross, 2) AS incl, round(w.gross / (1 + r.rate / 100), 2) AS excl,
           round(u.gross, 2) AS unit_incl, round(u.gross / (1 + r.rate / 100), 2) AS unit_excl
    FROM affected a
    JOIN shop.order_line_item i ON clean.legacy_id(i.metadata) = a.key
    CROSS JOIN LATERAL (
        SELECT n.order_id, n.unit_price,
               CASE WHEN n.version = d.version AND n.deleted_at IS NULL THEN n.quantity ELSE 0 END AS quantity
        FROM shop.order_item n
        JOIN shop."order" d ON d.id = n.order_id AND NOT d.is_draft_order
        WHERE n.item_id = i.id
        ORDER BY (n.deleted_at IS NULL AND n.version = d.version) DESC, n.version DESC, n.id
        LIMIT 1
    ) q
    JOIN shop."order" o ON o.id = q.order_id
    CROSS JOIN LATERAL (SELECT coalesce(sum(x.rate), 0) AS rate FROM shop.order_line_item_tax_line x WHERE x.item_id = i.id AND x.deleted_at IS NULL) r
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE WHEN x.is_tax_inclusive THEN x.amount ELSE x.amount * (1 + r.rate / 100) END), 0) AS gross
        FROM shop.order_line_item_adjustment x
        WHERE x.item_id = i.id AND x.version = o.version AND x.deleted_at IS NULL
    ) j
    CROSS JOIN LATERAL (
        SELECT coalesce(q.unit_price, i.unit_price) * CASE WHEN i.is_tax_inclusive THEN 1 ELSE 1 + r.rate / 100 END AS gross
    ) u
    CROSS JOIN LATERAL (SELECT u.gross * q.quantity AS gross) p
    CROSS JOIN LATERAL (SELECT CASE WHEN q.quantity = 0 THEN 0 ELSE p.gross - j.gross END AS gross) w
)
SELECT t.key AS id,
       coalesce(l.partner_name, '') AS partner_name,
       coalesce(l.partner_sku, left(t.variant_sku, 128), '') AS partner_sku,
       coalesce(l.partner_line_reference, '') AS partner_line_reference,
       coalesce(l.partner_line_notes, '') AS partner_line_notes,
       coalesce(l.title, left(t.title, 255)) AS title,
       CASE WHEN l.id IS NOT NULL THEN l.upc ELSE left(t.variant_barcode, 128) END AS upc,
       t.quantity::integer AS quantity,
       CASE WHEN s.stays THEN l.line_price_incl_tax ELSE t.incl END AS line_price_incl_tax,
       CASE WHEN s.stays THEN l.line_price_excl_tax ELSE t.excl END AS line_price_excl_tax,
       CASE WHEN s.stays THEN l.line_price_before_discounts_incl_tax ELSE t.before_incl END AS line_price_before_discounts_incl_tax,
       CASE WHEN s.stays THEN l.line_price_before_discounts_excl_tax ELSE t.before_excl END AS line_price_before_discounts_excl_tax,
       CASE WHEN s.stays THEN l.unit_price_incl_tax ELSE t.unit_incl END AS unit_price_incl_tax,
       CASE WHEN s.stays THEN l.unit_price_excl_tax ELSE t.unit_excl END AS unit_price_excl_tax,
       coalesce(l.status, '') AS status,
       t.order_id,
       l.partner_id,
       l.product_id,
       l.stockrecord_id,
       l.tax_code,
       coalesce(l.allocation_cancelled, false) AS allocation_cancelled,
       coalesce(l.num_allocated, 0) AS num_allocated,
       CASE WHEN t.quantity <> trunc(t.quantity) THEN ARRAY['quantity_not_whole'] ELSE '{}' END AS problems
FROM line t
LEFT JOIN public.order_line l ON l.id = t.key
CROSS JOIN LATERAL (
    SELECT l.quantity = 0 AND t.quantity = 0 OR (l.quantity = t.quantity AND l.line_price_incl_tax = t.incl
           AND greatest(l.line_price_before_discounts_incl_tax, l.line_price_incl_tax) = t.before_incl) AS stays
) s;

-- lineage: shop.order_item
SELECT clean.legacy_id(i.metadata) FROM changed c JOIN shop.order_line_item i ON i.id = c.item_id;

-- lineage: shop.order
SELECT clean.legacy_id(i.metadata)
FROM changed c JOIN shop.order_item q ON q.order_id = c.id JOIN shop.order_line_item i ON i.id = q.item_id;

-- lineage: shop.order_line_item_tax_line
SELECT clean.legacy_id(i.metadata) FROM changed c JOIN shop.order_line_item i ON i.id = c.item_id;

-- lineage: shop.order_line_item_adjustment
SELECT clean.legacy_id(i.metadata) FROM changed c JOIN shop.order_line_item i ON i.id = c.item_id;
