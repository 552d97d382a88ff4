-- entity: public.loyalty_accounts
-- key:    id
-- scope:  id
-- source: shop.loyalty_account(id), shop.customer, shop.customer_account
-- after:  contacts/customers
-- index:  shop.loyalty_account(customer_id)
-- index:  shop.customer_account(customer_id)
-- Cards with the balance that their holders see.
WITH tier(code, tier) AS (VALUES
    ('', 'standard'), ('STANDARD', 'standard'), ('BASIC', 'standard'), ('BRONZE', 'standard'), ('BRĄZOWY', 'standard'),
    ('SILVER', 'silver'), ('SREBRNY', 'silver'), ('GOLD', 'gold'), ('ZŁOTY', 'gold'), ('ZLOTY', 'gold'),
    ('PLATINUM', 'platinum'), ('PLATYNOWY', 'platinum'), ('VIP', 'platinum')
)
SELECT g.id,
       CASE WHEN ma.customer_id = g.customer_id THEN l.customer_id ELSE c.legacy_customer_id END AS customer_id,
       CASE WHEN l.id IS NOT NULL AND nullif(btrim(l.card_number), '') IS NOT DISTINCT FROM g.card_number THEN l.card_number
            ELSE g.card_number END AS card_number,
       CASE WHEN l.id IS NOT NULL AND coalesce(l.points, 0) = g.balance THEN l.points ELSE g.balance END AS points,
       CASE WHEN t.tier = g.tier::text AND l.id IS NOT NULL THEN l.tier ELSE g.tier::text END AS tier,
       CASE WHEN l.id IS NOT NULL AND (g.opened_at IS NULL OR l.created_at AT TIME ZONE 'Europe/Warsaw' = g.opened_at)
            THEN l.created_at ELSE g.opened_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.loyalty_account g ON g.id = a.key
JOIN shop.customer c ON c.id = g.customer_id
LEFT JOIN public.loyalty_accounts l ON l.id = g.id
LEFT JOIN shop.customer_account ma ON ma.legacy_customer_id = l.customer_id
LEFT JOIN tier t ON t.code = upper(btrim(coalesce(l.tier, '')));

-- lineage: shop.customer
SELECT g.id FROM changed c JOIN shop.loyalty_account g ON g.customer_id = c.id;

-- lineage: shop.customer_account
SELECT g.id FROM changed c JOIN shop.loyalty_account g ON g.customer_id = c.customer_id;
