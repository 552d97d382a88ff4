-- identity: customer
-- purposes: marketing, newsletter
-- Who may be written to, for activations and campaigns: docs/howto/activation.md. Runs in psql, query by query, in the new shop.

-- name: people
SELECT id AS customer_id, email, phone FROM shop.customer;

-- name: audience
SELECT customer_id, purpose, channel, basis FROM shop.audience;

-- name: refused
-- A wish that was refused ends every purpose by that channel.
SELECT customer_id, purpose, channel FROM shop.consent WHERE state = 'withdrawn'
UNION
SELECT w.customer_id, p.purpose, w.channel
FROM shop.communication_preference w, unnest(enum_range(NULL::shop.consent_purpose)) AS p (purpose)
WHERE NOT w.wanted;
