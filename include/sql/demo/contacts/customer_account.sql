-- entity: shop.customer_account
-- key:    legacy_customer_id
-- scope:  customer_id
-- source: identity.customer(shop_key), legacy.customers, shop.customer(id)
-- Every old account of a person who is in the shop: what was merged can be told apart, and led back to.
SELECT c.id::bigint AS legacy_customer_id,
       sc.id AS customer_id,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.customer sc ON sc.id = a.key
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = a.key
JOIN legacy.customers c ON c.id = i.legacy_key;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;
