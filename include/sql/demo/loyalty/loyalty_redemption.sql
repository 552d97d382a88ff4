-- entity: shop.loyalty_redemption
-- key:    id
-- scope:  account_id
-- source: legacy.loyalty_redemptions(account_id), legacy.loyalty_accounts(id), identity.customer
-- source: shop.loyalty_account(id), shop.customer_order
-- counts: legacy.loyalty_redemptions(id) as id
-- index:  legacy.loyalty_accounts(customer_id)
-- index:  legacy.loyalty_redemptions(order_id)
-- standardize: text legacy.loyalty_redemptions (reward)
-- Rewards taken; the points they took are in the ledger.
WITH state(code, state) AS (VALUES
    ('DONE', 'done'), ('D', 'done'), ('OK', 'done'), ('', 'done'),
    ('CANCELLED', 'cancelled'), ('CANC', 'cancelled'), ('C', 'cancelled'), ('ANULOWANE', 'cancelled')
)
SELECT t.id,
       t.account_id::bigint AS account_id,
       co.id AS order_id,
       n.value AS reward,
       CASE WHEN t.points BETWEEN -10000000 AND 10000000 THEN abs(t.points) END AS points,
       s.state::shop.redemption_state AS state,
       t.created_at AT TIME ZONE 'Europe/Warsaw' AS redeemed_at,
       CASE WHEN i.cluster LIKE ANY ('{#% deleted,#% inactive}') THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN l.id IS NULL THEN 'account_missing'
                WHEN sa.id IS NULL THEN 'account_quarantined' END,
           CASE WHEN n.value IS NULL THEN 'reward_missing' END,
           CASE WHEN coalesce(t.points, 0) = 0 THEN 'points_missing'
                WHEN t.points NOT BETWEEN -10000000 AND 10000000 THEN 'points_implausible' END,
           CASE WHEN s.state IS NULL THEN 'status_unknown' END,
           CASE WHEN t.created_at IS NULL THEN 'date_missing'
                WHEN t.created_at < '1995-01-01' THEN 'date_implausible'
                WHEN t.created_at >= '2035-01-01' THEN 'date_in_future' END
       ], NULL) END AS problems,
       CASE WHEN i.cluster LIKE '#% deleted' THEN 'customer_deleted'
            WHEN i.cluster LIKE '#% inactive' THEN 'customer_inactive' END AS left_out
FROM affected a
JOIN legacy.loyalty_redemptions t ON t.account_id = a.key
LEFT JOIN legacy.loyalty_accounts l ON l.id = t.account_id
LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = l.customer_id
LEFT JOIN shop.loyalty_account sa ON sa.id = t.account_id
LEFT JOIN shop.customer_order co ON co.id = t.order_id
LEFT JOIN state s ON s.code = upper(btrim(coalesce(t.status, '')))
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = t.reward;

-- lineage: identity.customer
SELECT l.id FROM changed c JOIN legacy.loyalty_accounts l ON l.customer_id = c.legacy_key;

-- lineage: shop.customer_order
SELECT t.account_id FROM changed c JOIN legacy.loyalty_redemptions t ON t.order_id = c.id;
