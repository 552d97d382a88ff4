-- audit:  rewards that were not taken in time are closed
-- owner:  Loyalty
-- unit:   open rewards
-- better: lower
-- warn:   5 points worse
-- error:  20 points worse
-- phase:  loyalty
-- remedy: have the nightly job of the shop set them to expired; until then they look as if they were owed
SELECT 'all' AS segment, count(*) FILTER (WHERE valid_until < current_date) AS bad, count(*) AS of
FROM shop.loyalty_reward
WHERE state = 'open';
