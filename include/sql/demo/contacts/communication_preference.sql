-- entity: shop.communication_preference
-- key:    customer_id, channel
-- scope:  customer_id
-- source: identity.customer(shop_key), shop.consent(customer_id)
-- What a person wishes to hear, from what they once said: a withdrawal for any purpose ends the wish for that channel.
SELECT s.customer_id,
       s.channel,
       bool_and(s.state <> 'withdrawn') AS wanted,
       (min(s.granted_at) AT TIME ZONE 'Europe/Warsaw')::date AS since,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.consent s ON s.customer_id = a.key
GROUP BY s.customer_id, s.channel;
