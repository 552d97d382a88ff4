-- title: Customers by what they may do
-- phase: contacts
-- about: Accounts of the old shop become persons: further accounts of the same person are not carried, nor deleted ones.

-- name: legacy
-- Accounts, as the old shop counts them.
SELECT CASE WHEN upper(c.deleted) IN ('T', 'Y', '1') THEN 'deleted'
            WHEN upper(c.active) IN ('N', '0') THEN 'blocked' ELSE 'active' END AS segment,
       count(*) AS customers
FROM customers c
GROUP BY 1;

-- name: shop
-- Persons of the new shop that came from there.
SELECT c.status::text AS segment, count(*) AS customers
FROM shop.customer c
WHERE c.legacy_customer_id IS NOT NULL
GROUP BY 1;

-- name: held
-- Accounts that are in quarantine or left out by a rule, in the new shop's database.
SELECT CASE WHEN upper(c.deleted) IN ('T', 'Y', '1') THEN 'deleted'
            WHEN upper(c.active) IN ('N', '0') THEN 'blocked' ELSE 'active' END AS segment,
       count(*) AS customers
FROM legacy.customers c
JOIN (SELECT row_key FROM ferry.quarantine WHERE entity = 'shop.customer'
      UNION SELECT row_key FROM ferry.left_out WHERE entity = 'shop.customer') h ON h.row_key = c.id::text
GROUP BY 1;
