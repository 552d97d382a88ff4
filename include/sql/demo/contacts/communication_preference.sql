-- entity: shop.communication_preference
-- key:    customer_id, channel
-- scope:  customer_id
-- source: identity.customer(shop_key), shop.consent(customer_id)
-- What a person wishes to hear, from what they said with proof, and since when: a refusal for any purpose ends the wish for
-- that channel. Who has said neither has no row: silence, and a claim without proof, are no wish.
SELECT s.customer_id,
       s.channel,
       bool_and(s.state <> 'withdrawn') AS wanted,
       (CASE WHEN bool_or(s.state = 'withdrawn') THEN max(s.withdrawn_at) FILTER (WHERE s.state = 'withdrawn')
             ELSE min(s.granted_at) FILTER (WHERE s.state = 'granted') END AT TIME ZONE 'Europe/Warsaw')::date AS since,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.consent s ON s.customer_id = a.key
WHERE s.state <> 'unproven'
GROUP BY s.customer_id, s.channel;
