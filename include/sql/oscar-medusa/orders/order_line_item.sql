-- entity: public.order_line_item
-- key:    id
-- scope:  id
-- source: legacy.order_line(clean.make_id('ordli', id)), legacy.order_surcharge(clean.make_id('ordli', clean.second(id)))
-- source: clean.charge(clean.make_id('ordli', number)), identity.order, public.order
-- counts: legacy.order_line(id) as CASE WHEN clean.number_of(id) < clean.second(0) THEN clean.number_of(id)::integer END
-- Lines and surcharges as they were charged, with tax. No product of the new shop is named: the lines say themselves what they are.
SELECT a.key AS id,
       g.title,
       g.title AS product_title,
       g.sku AS variant_sku,
       g.barcode AS variant_barcode,
       g.number < clean.second(0) AS requires_shipping,
       true AS is_discountable,
       true AS is_tax_inclusive,
       true AS is_custom_price,
       false AS is_giftcard,
       g.unit_price,
       clean.big(g.unit_price) AS raw_unit_price,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object('id', g.number, 'status', g.status))) AS metadata,
       o.created_at,
       o.created_at AS updated_at,
       CASE WHEN o.id IS NULL THEN ARRAY['order_quarantined'] ELSE '{}' END AS problems
FROM affected a
JOIN clean.charge g ON g.number = clean.number_of(a.key)
LEFT JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = g.order_id
LEFT JOIN public."order" o ON o.id = i.shop_id;

-- lineage: identity.order
SELECT clean.make_id('ordli', g.number) FROM changed c JOIN clean.charge g ON g.order_id = c.legacy_key;

-- lineage: public.order
SELECT clean.make_id('ordli', g.number)
FROM changed c
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = c.id
JOIN clean.charge g ON g.order_id = i.legacy_key;
