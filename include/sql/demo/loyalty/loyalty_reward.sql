-- entity: shop.loyalty_reward
-- key:    id
-- scope:  id
-- source: legacy.loyalty_rewards(id), identity.customer, shop.customer, shop.customer_order
-- counts: legacy.loyalty_rewards(id) as id
-- index:  legacy.loyalty_rewards(customer_id)
-- index:  legacy.loyalty_rewards(order_id)
-- standardize: text legacy.loyalty_rewards (reward)
-- standardize: date legacy.loyalty_rewards (valid_until)
-- Rewards that were earned, whether they were taken or not: what is open is owed to its customer. The old shop's letter decides, and
-- not the day: what has run out is open until the shop says so. The oldest rows have no letter, and what has a time was taken.
-- A letter that its time contradicts is nobody's to guess. An end from 2035 on is none, like one without a date.
WITH letter(code, state) AS (VALUES
    ('O', 'open'), ('W', 'taken'), ('X', 'expired'), ('A', 'cancelled')
), reward AS (
    SELECT r.*, CASE WHEN btrim(coalesce(r.state, '')) = '' THEN CASE WHEN r.taken_at IS NULL THEN 'open' ELSE 'taken' END
                     ELSE k.state END AS stands
    FROM affected a
    JOIN legacy.loyalty_rewards r ON r.id = a.key
    LEFT JOIN letter k ON k.code = upper(btrim(r.state))
)
SELECT r.id,
       sc.id AS customer_id,
       co.id AS order_id,
       nullif(btrim(r.code), '') AS code,
       n.value AS reward,
       CASE WHEN r.points BETWEEN -10000000 AND 10000000 THEN abs(r.points) END AS points,
       r.stands::shop.reward_state AS state,
       r.earned_at AT TIME ZONE 'Europe/Warsaw' AS earned_at,
       d.value::date AS valid_until,
       r.taken_at AT TIME ZONE 'Europe/Warsaw' AS taken_at,
       CASE WHEN i.cluster LIKE ANY ('{#% deleted,#% inactive}') THEN '{}'::text[] ELSE array_remove(ARRAY[
           CASE WHEN i.legacy_key IS NULL OR i.cluster LIKE '#% missing' THEN 'customer_missing'
                WHEN sc.id IS NULL THEN 'customer_quarantined' END,
           CASE WHEN n.value IS NULL THEN 'reward_missing' END,
           CASE WHEN coalesce(r.points, 0) = 0 THEN 'points_missing'
                WHEN r.points NOT BETWEEN -10000000 AND 10000000 THEN 'points_implausible' END,
           CASE WHEN r.stands IS NULL THEN 'status_unknown'
                WHEN r.taken_at IS NOT NULL AND r.stands <> 'taken' THEN 'status_contradicts' END,
           CASE WHEN r.earned_at IS NULL THEN 'date_missing'
                WHEN least(r.earned_at, r.taken_at) < '1995-01-01' THEN 'date_implausible'
                WHEN greatest(r.earned_at, r.taken_at) >= '2035-01-01' THEN 'date_in_future' END,
           CASE WHEN d.problem IN ('date_invalid', 'date_implausible') THEN 'end_invalid'
                WHEN d.value::date < r.earned_at::date THEN 'validity_backwards' END
       ], NULL) END AS problems,
       CASE WHEN i.cluster LIKE '#% deleted' THEN 'customer_deleted'
            WHEN i.cluster LIKE '#% inactive' THEN 'customer_inactive' END AS left_out
FROM reward r
LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = r.customer_id
LEFT JOIN shop.customer sc ON sc.id = i.shop_key
LEFT JOIN shop.customer_order co ON co.id = r.order_id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = r.reward
LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = r.valid_until;

-- lineage: identity.customer
SELECT r.id FROM changed c JOIN legacy.loyalty_rewards r ON r.customer_id = c.legacy_key;

-- lineage: shop.customer
SELECT r.id
FROM changed c
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_key = c.id
JOIN legacy.loyalty_rewards r ON r.customer_id = i.legacy_key;

-- lineage: shop.customer_order
SELECT r.id FROM changed c JOIN legacy.loyalty_rewards r ON r.order_id = c.id;
