-- entity: public.order_line_item_tax_line
-- key:    id
-- scope:  id
-- source: legacy.order_line(clean.make_id('ordlitxl', id)), legacy.order_surcharge(clean.make_id('ordlitxl', clean.second(id)))
-- source: clean.charge(clean.make_id('ordlitxl', number)), public.order_line_item(clean.make_id('ordlitxl', clean.number_of(id)))
-- The rate of each line. Medusa keeps rates and no amounts of tax; the price that was paid includes it.
SELECT a.key AS id,
       li.id AS item_id,
       coalesce(g.tax_code, 'vat' || trim_scale(g.rate)) AS code,
       'VAT ' || trim_scale(g.rate) || '%' AS description,
       g.rate,
       clean.big(g.rate) AS raw_rate,
       li.created_at,
       li.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN clean.charge g ON g.number = clean.number_of(a.key)
JOIN public.order_line_item li ON li.id = clean.make_id('ordli', g.number);
