-- entity: public.loyalty_rewards
-- key:    id
-- scope:  id
-- source: shop.loyalty_reward(id), shop.customer, shop.customer_account
-- after:  contacts/customers
-- index:  shop.loyalty_reward(customer_id)
-- index:  shop.customer_account(customer_id)
-- Rewards that were earned, taken or not.
WITH letter(code, state) AS (VALUES
    ('O', 'open'), ('W', 'taken'), ('X', 'expired'), ('A', 'cancelled')
)
SELECT r.id,
       CASE WHEN ma.customer_id = r.customer_id THEN l.customer_id ELSE c.legacy_customer_id END AS customer_id,
       CASE WHEN l.id IS NOT NULL AND nullif(btrim(l.code), '') IS NOT DISTINCT FROM r.code THEN l.code ELSE r.code END AS code,
       CASE WHEN n.value = r.reward THEN l.reward ELSE left(r.reward, 128) END AS reward,
       CASE WHEN abs(l.points) = r.points THEN l.points ELSE r.points END AS points,
       CASE WHEN l.earned_at AT TIME ZONE 'Europe/Warsaw' = r.earned_at THEN l.earned_at
            ELSE r.earned_at AT TIME ZONE 'Europe/Warsaw' END AS earned_at,
       CASE WHEN l.id IS NOT NULL AND (l.valid_until IS NULL OR d.raw IS NOT NULL) AND d.value::date IS NOT DISTINCT FROM r.valid_until
            THEN l.valid_until ELSE r.valid_until::text END AS valid_until,
       CASE WHEN l.taken_at AT TIME ZONE 'Europe/Warsaw' = r.taken_at THEN l.taken_at
            ELSE r.taken_at AT TIME ZONE 'Europe/Warsaw' END AS taken_at,
       CASE WHEN upper(btrim(l.state)) = k.code THEN l.state
            -- Without a letter it is read by its time.
            WHEN l.id IS NOT NULL AND btrim(coalesce(l.state, '')) = '' AND (l.taken_at IS NULL) = (r.taken_at IS NULL)
                 AND r.state::text = CASE WHEN r.taken_at IS NULL THEN 'open' ELSE 'taken' END THEN l.state
            ELSE k.code END AS state,
       CASE WHEN l.id IS NOT NULL AND r.order_id IS NULL THEN l.order_id ELSE coalesce(r.order_id, 0) END AS order_id,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.loyalty_reward r ON r.id = a.key
JOIN shop.customer c ON c.id = r.customer_id
JOIN letter k ON k.state = r.state::text
LEFT JOIN public.loyalty_rewards l ON l.id = r.id
LEFT JOIN shop.customer_account ma ON ma.legacy_customer_id = l.customer_id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.reward
LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = l.valid_until;

-- lineage: shop.customer
SELECT r.id FROM changed c JOIN shop.loyalty_reward r ON r.customer_id = c.id;

-- lineage: shop.customer_account
SELECT r.id FROM changed c JOIN shop.loyalty_reward r ON r.customer_id = c.customer_id;
