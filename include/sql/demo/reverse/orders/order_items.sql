-- entity: public.order_items
-- key:    id
-- scope:  id
-- source: shop.order_line(id)
-- after:  orders/orders
-- Lines, each by itself: those of an order that never came to the shop are not ours to touch.
SELECT i.id,
       i.order_id,
       CASE WHEN l.id IS NOT NULL AND nullif(btrim(l.sku), '') IS NOT DISTINCT FROM i.sku THEN l.sku
            ELSE i.sku END AS sku,
       CASE WHEN l.id IS NOT NULL AND coalesce(n.value, nullif(btrim(l.sku), '')) IS NOT DISTINCT FROM i.name THEN l.name
            ELSE left(i.name, 255) END AS name,
       i.quantity,
       CASE WHEN round(l.unit_price, 2) = i.unit_price THEN l.unit_price ELSE i.unit_price END AS unit_price,
       CASE WHEN l.id IS NOT NULL AND CASE WHEN l.vat_rate BETWEEN 0 AND 100 THEN l.vat_rate END IS NOT DISTINCT FROM i.vat_rate
            THEN l.vat_rate ELSE i.vat_rate END AS vat_rate,
       CASE WHEN l.line_total IS NULL AND round(l.quantity * l.unit_price, 2) = i.total AND l.quantity = i.quantity
                 AND round(l.unit_price, 2) = i.unit_price THEN NULL
            WHEN round(l.line_total, 2) = i.total THEN l.line_total ELSE i.total END AS line_total,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.order_line i ON i.id = a.key
LEFT JOIN public.order_items l ON l.id = i.id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.name;
