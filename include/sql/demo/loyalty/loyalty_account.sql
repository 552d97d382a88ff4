-- entity: shop.loyalty_account
-- key:    id
-- scope:  id
-- source: legacy.loyalty_accounts(id), identity.customer, shop.customer
-- counts: legacy.loyalty_accounts(id) as id
-- index:  legacy.loyalty_accounts(customer_id)
-- The balance is what the customer was shown; the ledger explains it. Cards of merged customers are not merged.
WITH tier(code, tier) AS (VALUES
    ('', 'standard'), ('STANDARD', 'standard'), ('BASIC', 'standard'), ('BRONZE', 'standard'), ('BRĄZOWY', 'standard'),
    ('SILVER', 'silver'), ('SREBRNY', 'silver'), ('GOLD', 'gold'), ('ZŁOTY', 'gold'), ('ZLOTY', 'gold'),
    ('PLATINUM', 'platinum'), ('PLATYNOWY', 'platinum'), ('VIP', 'platinum')
)
SELECT l.id::bigint AS id,
       sc.id AS customer_id,
       nullif(btrim(l.card_number), '') AS card_number,
       t.tier::shop.loyalty_tier AS tier,
       coalesce(l.points, 0) AS balance,
       CASE WHEN l.created_at >= '1995-01-01' AND l.created_at < '2035-01-01'
            THEN l.created_at AT TIME ZONE 'Europe/Warsaw' END AS opened_at,
       CASE WHEN i.cluster LIKE ANY ('{#% deleted,#% inactive}') THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN i.legacy_key IS NULL OR i.cluster LIKE '#% missing' THEN 'customer_missing'
                WHEN sc.id IS NULL THEN 'customer_quarantined' END,
           CASE WHEN t.tier IS NULL THEN 'tier_unknown' END,
           CASE WHEN l.points < 0 THEN 'balance_negative' END
       ], NULL) END AS problems,
       CASE WHEN i.cluster LIKE '#% deleted' THEN 'customer_deleted'
            WHEN i.cluster LIKE '#% inactive' THEN 'customer_inactive' END AS left_out
FROM affected a
JOIN legacy.loyalty_accounts l ON l.id = a.key
LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = l.customer_id
LEFT JOIN shop.customer sc ON sc.id = i.shop_key
LEFT JOIN tier t ON t.code = upper(btrim(coalesce(l.tier, '')));

-- lineage: identity.customer
SELECT l.id FROM changed c JOIN legacy.loyalty_accounts l ON l.customer_id = c.legacy_key;

-- lineage: shop.customer
SELECT l.id
FROM changed c
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = c.id
JOIN legacy.loyalty_accounts l ON l.customer_id = i.legacy_key;
