-- title: Orders per currency
-- phase: orders
-- about: What customers were to pay, per currency and never across. Orders in quarantine are not in the new shop yet.

-- name: legacy
-- Orders of the old shop.
SELECT CASE WHEN upper(btrim(o.currency, ' .')) IN ('PLN', 'ZŁ', 'ZL', 'PLZ') OR lower(btrim(o.currency)) = 'zł' THEN 'PLN'
            WHEN upper(btrim(o.currency, ' .')) IN ('EUR', 'EURO', '€') THEN 'EUR'
            WHEN upper(btrim(o.currency, ' .')) IN ('CZK', 'KČ', 'KC') OR lower(btrim(o.currency)) = 'kč' THEN 'CZK'
            WHEN upper(btrim(o.currency, ' .')) IN ('GBP', '£') THEN 'GBP'
            WHEN upper(btrim(o.currency)) ~ '^[A-Z]{3}$' THEN upper(btrim(o.currency))
            ELSE 'no currency' END AS segment,
       count(*) AS orders, coalesce(sum(nullif(round(o.total, 2), 'NaN')), 0) AS total
FROM orders o
GROUP BY 1;

-- name: shop
-- Orders of the new shop that came from there.
SELECT o.currency AS segment, count(*) AS orders, coalesce(sum(o.total), 0) AS total
FROM shop.customer_order o
WHERE EXISTS (SELECT FROM legacy.orders l WHERE l.id = o.id)
GROUP BY 1;

-- name: held
-- Orders in quarantine.
SELECT CASE WHEN upper(btrim(o.currency, ' .')) IN ('PLN', 'ZŁ', 'ZL', 'PLZ') OR lower(btrim(o.currency)) = 'zł' THEN 'PLN'
            WHEN upper(btrim(o.currency, ' .')) IN ('EUR', 'EURO', '€') THEN 'EUR'
            WHEN upper(btrim(o.currency, ' .')) IN ('CZK', 'KČ', 'KC') OR lower(btrim(o.currency)) = 'kč' THEN 'CZK'
            WHEN upper(btrim(o.currency, ' .')) IN ('GBP', '£') THEN 'GBP'
            WHEN upper(btrim(o.currency)) ~ '^[A-Z]{3}$' THEN upper(btrim(o.currency))
            ELSE 'no currency' END AS segment,
       count(*) AS orders, coalesce(sum(nullif(round(o.total, 2), 'NaN')), 0) AS total
FROM legacy.orders o
JOIN ferry.quarantine q ON q.entity = 'shop.customer_order' AND q.row_key = o.id::text
GROUP BY 1;
