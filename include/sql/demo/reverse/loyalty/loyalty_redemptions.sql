-- entity: public.loyalty_redemptions
-- key:    id
-- scope:  id
-- source: shop.loyalty_redemption(id)
-- after:  loyalty/loyalty_accounts
-- Rewards taken.
SELECT r.id,
       r.account_id,
       CASE WHEN l.id IS NOT NULL AND r.order_id IS NULL THEN l.order_id ELSE coalesce(r.order_id, 0) END AS order_id,
       CASE WHEN n.value = r.reward THEN l.reward ELSE left(r.reward, 128) END AS reward,
       CASE WHEN abs(l.points) = r.points THEN l.points ELSE r.points END AS points,
       CASE WHEN l.id IS NOT NULL AND (upper(btrim(coalesce(l.status, ''))) IN ('DONE', 'D', 'OK', '')) = (r.state = 'done')
            THEN l.status ELSE r.state::text END AS status,
       CASE WHEN l.created_at AT TIME ZONE 'Europe/Warsaw' = r.redeemed_at THEN l.created_at
            ELSE r.redeemed_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.loyalty_redemption r ON r.id = a.key
LEFT JOIN public.loyalty_redemptions l ON l.id = r.id
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.reward;
