-- entity: shop.customer_address
-- key:    source_key
-- scope:  legacy_customer_id
-- source: legacy.addresses(customer_id), legacy.customers(id), identity.customer(legacy_key), shop.customer
-- counts: legacy.addresses(id) as legacy_address_id
-- standardize: text legacy.addresses (full_name)
-- standardize: text legacy.addresses (company)
-- standardize: text legacy.addresses (street)
-- standardize: text legacy.addresses (city)
-- standardize: country legacy.addresses (country)
-- standardize: postcode legacy.addresses (coalesce(country, '') || '|' || postcode)
-- standardize: phone legacy.addresses (coalesce(country, '') || '|' || phone)
-- standardize: text legacy.customers (full_name)
-- standardize: text legacy.customers (bill_company)
-- standardize: text legacy.customers (bill_street)
-- standardize: text legacy.customers (bill_city)
-- standardize: country legacy.customers (bill_country)
-- standardize: postcode legacy.customers (coalesce(bill_country, '') || '|' || bill_postcode)
-- standardize: phone legacy.customers (coalesce(bill_country, '') || '|' || phone)
-- All addresses of all accounts of a person, and the billing address that was part of each account's own record.
-- Where no country was written, it was Poland. A billing address never stops in quarantine: what is wrong with it is
-- dropped, and noted beside the customer.
WITH written AS (
    SELECT 'address:' || d.id AS source_key, d.id AS address_id, a.key AS account, false AS billing,
           upper(d.is_default) IN ('T', 'Y', '1') IS TRUE AS is_default,
           upper(d.deleted) IN ('T', 'Y', '1') IS TRUE AS deleted,
           d.full_name, d.company, d.street, d.postcode, d.city, d.country, d.phone, d.created_at
    FROM affected a
    JOIN legacy.addresses d ON d.customer_id = a.key
    UNION ALL
    SELECT 'billing:' || c.id, NULL, a.key, true, false, false,
           c.full_name, c.bill_company, c.bill_street, c.bill_postcode, c.bill_city, c.bill_country, c.phone, c.created_at
    FROM affected a
    JOIN legacy.customers c ON c.id = a.key
), judged AS (
    SELECT w.source_key, w.address_id, w.account, w.billing, w.is_default, w.deleted, w.created_at,
           c.id IS NULL AS orphaned, upper(c.deleted) IN ('T', 'Y', '1') IS TRUE AS owner_deleted, i.cluster LIKE '#% inactive' IS TRUE AS owner_inactive,
           sc.id AS customer_id,
           n.value AS recipient, m.value AS company, s.value AS street, t.value AS city,
           CASE WHEN btrim(coalesce(w.country, '')) = '' THEN 'PL' ELSE k.value END AS country_code,
           z.value AS postcode, z.problem AS postcode_problem, p.value AS phone
    FROM written w
    LEFT JOIN legacy.customers c ON c.id = w.account
    LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = w.account
    LEFT JOIN shop.customer sc ON sc.id = i.shop_key
    LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = w.full_name
    LEFT JOIN ferry.standardized m ON m.kind = 'text' AND m.raw = w.company
    LEFT JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = w.street
    LEFT JOIN ferry.standardized t ON t.kind = 'text' AND t.raw = w.city
    LEFT JOIN ferry.standardized k ON k.kind = 'country' AND k.raw = w.country
    LEFT JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = coalesce(w.country, '') || '|' || w.postcode
    LEFT JOIN ferry.standardized p ON p.kind = 'phone' AND p.raw = coalesce(w.country, '') || '|' || w.phone
)
SELECT j.customer_id,
       j.billing AS is_billing,
       j.is_default,
       j.recipient,
       j.company,
       j.street,
       j.postcode,
       j.city,
       j.country_code,
       j.phone,
       CASE WHEN j.created_at >= '1995-01-01' AND j.created_at < '2035-01-01'
            THEN j.created_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       j.source_key,
       j.address_id::bigint AS legacy_address_id,
       j.account::bigint AS legacy_customer_id,
       CASE WHEN j.billing OR j.deleted OR j.owner_deleted OR j.owner_inactive OR (j.street IS NULL AND j.city IS NULL)
            THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN j.orphaned THEN 'customer_missing'
                WHEN j.customer_id IS NULL THEN 'customer_quarantined' END,
           CASE WHEN j.country_code IS NULL THEN 'country_unknown' END,
           CASE WHEN j.postcode IS NULL AND j.postcode_problem <> 'postcode_missing' THEN 'postcode_invalid' END
       ], NULL) END AS problems,
       CASE WHEN j.deleted THEN 'soft_deleted'
            WHEN j.owner_deleted THEN 'customer_deleted'
            WHEN j.owner_inactive THEN 'customer_inactive'
            WHEN j.street IS NULL AND j.city IS NULL THEN 'address_empty' END AS left_out
FROM judged j
WHERE NOT j.billing OR (j.customer_id IS NOT NULL AND NOT j.owner_deleted AND (j.street IS NOT NULL OR j.city IS NOT NULL));

-- lineage: shop.customer
SELECT i.legacy_key FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = c.id;
