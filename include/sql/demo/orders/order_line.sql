-- entity: shop.order_line
-- key:    id
-- scope:  order_id
-- source: legacy.order_items(order_id), legacy.orders(id), shop.customer_order(id)
-- counts: legacy.order_items(id) as id
-- standardize: text legacy.order_items (name)
-- Lines as they were charged; an article without a name goes by its number.
SELECT t.id,
       t.order_id,
       nullif(btrim(t.sku), '') AS sku,
       coalesce(n.value, nullif(btrim(t.sku), '')) AS name,
       t.quantity,
       round(t.unit_price, 2) AS unit_price,
       CASE WHEN t.vat_rate BETWEEN 0 AND 100 THEN t.vat_rate END AS vat_rate,
       round(coalesce(t.line_total, t.quantity * t.unit_price), 2) AS total,
       co.currency,
       array_remove(ARRAY[
           CASE WHEN o.id IS NULL THEN 'order_missing' WHEN co.id IS NULL THEN 'order_quarantined' END,
           CASE WHEN t.quantity IS NULL OR t.quantity <= 0 THEN 'quantity_not_positive' END,
           CASE WHEN 'NaN' IN (t.unit_price, t.line_total) THEN 'price_not_a_number'
                WHEN t.unit_price IS NULL THEN 'price_missing' END,
           CASE WHEN n.value IS NULL AND btrim(coalesce(t.sku, '')) = '' THEN 'name_missing' END
       ], NULL) AS problems
FROM affected a
JOIN legacy.order_items t ON t.order_id = a.key
LEFT JOIN legacy.orders o ON o.id = t.order_id
LEFT JOIN shop.customer_order co ON co.id = t.order_id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = t.name;
