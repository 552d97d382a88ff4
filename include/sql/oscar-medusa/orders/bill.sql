-- entity: clean.bill
-- key:    id
-- scope:  id
-- source: legacy.order_order(id), legacy.order_orderdiscount(order_id), clean.charge(order_id), ferry.setting
-- What an order comes to as Medusa works it out, and what Oscar says: `difference` is what the customer paid beyond the former.
-- Oscar's price of shipping is after its discounts; Medusa wants it before them.
SELECT o.id,
       o.shipping_incl_tax + d.amount AS shipping,
       d.amount AS shipping_discount,
       d.code AS shipping_discount_code,
       clean.tax_rate(o.shipping_incl_tax, o.shipping_excl_tax, 1, (SELECT value FROM ferry.setting WHERE name = 'vat_rates')) AS shipping_rate,
       c.total + o.shipping_incl_tax AS total,
       o.total_incl_tax - c.total - o.shipping_incl_tax AS difference,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_order o ON o.id = a.key
CROSS JOIN LATERAL (
    SELECT coalesce(sum(g.gross - g.discount), 0) AS total FROM clean.charge g WHERE g.order_id = o.id
) c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.amount), 0) AS amount,
           string_agg(nullif(x.voucher_code, ''), ', ' ORDER BY x.id) AS code
    FROM legacy.order_orderdiscount x
    WHERE x.order_id = o.id AND x.category = 'Shipping'
) d;
