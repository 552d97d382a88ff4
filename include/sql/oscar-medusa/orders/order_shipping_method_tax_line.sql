-- entity: public.order_shipping_method_tax_line
-- key:    id
-- scope:  id
-- source: legacy.order_order(clean.make_id('ordsmtxl', id)), clean.bill(clean.make_id('ordsmtxl', id))
-- source: public.order_shipping_method(clean.make_id('ordsmtxl', clean.number_of(id)))
SELECT a.key AS id,
       m.id AS shipping_method_id,
       coalesce(nullif(btrim(o.shipping_tax_code), ''), 'vat' || trim_scale(b.shipping_rate)) AS code,
       'VAT ' || trim_scale(b.shipping_rate) || '%' AS description,
       b.shipping_rate AS rate,
       clean.big(b.shipping_rate) AS raw_rate,
       m.created_at,
       m.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public.order_shipping_method m ON m.id = clean.make_id('ordsm', clean.number_of(a.key))
JOIN legacy.order_order o ON o.id = clean.number_of(a.key)
JOIN clean.bill b ON b.id = o.id;
