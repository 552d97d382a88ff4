-- identity: order
-- text:     clean.make_id('order', shop_key)
-- source:   legacy.order_order(id)
-- Each order is one of its own. It stands here, so that an order that was born in the new shop keeps its id after a rollback.
SELECT o.id AS legacy_key, o.id::text AS cluster FROM affected a JOIN legacy.order_order o ON o.id = a.key;
