-- campaign: Accounts without a sign of life for two years, before they are closed
-- owner: Data protection
-- purpose: marketing
-- The notice that an account ends is owed by its contract; "come back to us" would be marketing.
WITH life AS (
    SELECT c.id,
           greatest(c.registered_at, c.last_seen_at,
                    (SELECT max(o.placed_at) FROM shop.customer_order o WHERE o.customer_id = c.id),
                    (SELECT max(greatest(w.earned_at, w.taken_at)) FROM shop.loyalty_reward w WHERE w.customer_id = c.id),
                    (SELECT max(r.redeemed_at) FROM shop.loyalty_redemption r
                     JOIN shop.loyalty_account l ON l.id = r.account_id WHERE l.customer_id = c.id)) AS last_sign
    FROM shop.customer c
    WHERE c.status = 'active'
)
SELECT id AS customer_id, 'last sign of life in ' || extract(year FROM last_sign) AS why, 'order_mail' AS may_ask_by
FROM life
WHERE last_sign < now() - interval '2 years';
