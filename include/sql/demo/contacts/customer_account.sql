-- entity: shop.customer_account
-- key:    legacy_customer_id
-- scope:  customer_id
-- source: identity.customer(shop_key), legacy.customers, shop.customer(id)
-- standardize: email legacy.customers (email)
-- Every old account of a person who is in the shop: what was merged can be told apart, and led back to. Of accounts that a
-- decision has joined the address is kept that is not the person's.
SELECT c.id::bigint AS legacy_customer_id,
       sc.id AS customer_id,
       nullif(e.value, l.value) AS email,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.customer sc ON sc.id = a.key
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = a.key
JOIN legacy.customers c ON c.id = i.legacy_key
JOIN legacy.customers lead ON lead.id = sc.legacy_customer_id
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
LEFT JOIN ferry.standardized l ON l.kind = 'email' AND l.raw = lead.email;

-- lineage: legacy.customers
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id;
