-- entity: public.payment_source
-- key:    id
-- scope:  id
-- source: shop.payment(clean.legacy_id(metadata)), shop.capture, shop.refund, shop.order_payment_collection, shop.order
-- index:  shop.capture(payment_id)
-- index:  shop.refund(payment_id)
-- index:  shop.payment(payment_collection_id)
-- index:  shop.order_payment_collection(payment_collection_id)
-- after:  orders/order_order
-- What came in and went back, as the sums that Oscar shows. A new payment is of Oscar's first kind of source.
SELECT a.key AS id,
       CASE WHEN lower(btrim(l.currency)) = p.currency_code THEN l.currency ELSE upper(p.currency_code) END AS currency,
       CASE WHEN greatest(l.amount_allocated, l.amount_debited) = p.amount THEN l.amount_allocated ELSE round(p.amount, 2) END AS amount_allocated,
       round(m.captured, 2) AS amount_debited,
       round(m.refunded, 2) AS amount_refunded,
       coalesce(l.reference, '') AS reference,
       coalesce(l.label, '') AS label,
       clean.legacy_id(o.metadata) AS order_id,
       coalesce(l.source_type_id, (SELECT min(t.id) FROM public.payment_sourcetype t)) AS source_type_id,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.payment p ON clean.legacy_id(p.metadata) = a.key
JOIN shop.order_payment_collection k ON k.payment_collection_id = p.payment_collection_id
JOIN shop."order" o ON o.id = k.order_id AND NOT o.is_draft_order
LEFT JOIN public.payment_source l ON l.id = a.key
CROSS JOIN LATERAL (
    SELECT (SELECT coalesce(sum(x.amount), 0) FROM shop.capture x WHERE x.payment_id = p.id AND x.deleted_at IS NULL) AS captured,
           (SELECT coalesce(sum(x.amount), 0) FROM shop.refund x WHERE x.payment_id = p.id AND x.deleted_at IS NULL) AS refunded
) m;

-- lineage: shop.capture
SELECT clean.legacy_id(p.metadata) FROM changed c JOIN shop.payment p ON p.id = c.payment_id;

-- lineage: shop.refund
SELECT clean.legacy_id(p.metadata) FROM changed c JOIN shop.payment p ON p.id = c.payment_id;

-- lineage: shop.order_payment_collection
SELECT clean.legacy_id(p.metadata) FROM changed c JOIN shop.payment p ON p.payment_collection_id = c.payment_collection_id;

-- lineage: shop.order
SELECT clean.legacy_id(p.metadata)
FROM changed c JOIN shop.order_payment_collection k ON k.order_id = c.id JOIN shop.payment p ON p.payment_collection_id = k.payment_collection_id;
