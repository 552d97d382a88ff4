-- entity: public.order_shipping_method_adjustment
-- key:    id
-- scope:  id
-- source: legacy.order_order(clean.make_id('ordsmadj', id)), clean.bill(clean.make_id('ordsmadj', id))
-- source: public.order_shipping_method(clean.make_id('ordsmadj', clean.number_of(id)))
-- What went off the price of shipping: one row, for Medusa lets no second one in. Other than a line's it is an amount without tax,
-- which Medusa adds by the method's rate.
SELECT a.key AS id,
       m.id AS shipping_method_id,
       1 AS version,
       b.shipping_discount_code AS code,
       'discount on shipping' AS description,
       n.amount,
       clean.big(n.amount) AS raw_amount,
       m.created_at,
       m.updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public.order_shipping_method m ON m.id = clean.make_id('ordsm', clean.number_of(a.key))
JOIN clean.bill b ON b.id = clean.number_of(a.key)
CROSS JOIN LATERAL (SELECT trim_scale(round(round(b.shipping_discount, 20) / (1 + b.shipping_rate / 100), 20)) AS amount) n
WHERE b.shipping_discount > 0;
