-- identity: customer
-- What `shopferry consent show` and `consent receipt` tell of one person: docs/howto/consents.md. Runs in psql, query by query,
-- in the new shop; `state` and `chain` given CREATE TEMP TABLE person (id bigint) with the number of one person.

-- name: person
-- Everybody of whom a consent may be asked for, deleted accounts too. Acts of guests stand under one number, which is nobody's.
SELECT id FROM shop.customer
UNION
SELECT customer_id FROM shop.consent_chain WHERE source NOT LIKE 'consents:%/0:%';

-- name: state
SELECT s.purpose, s.channel, CASE WHEN s.state = 'granted' AND s.expires_at <= now() THEN 'expired' ELSE s.state::text END AS state,
       s.why, s.basis, s.address_mark
FROM shop.consent s
JOIN person p ON p.id = s.customer_id
ORDER BY s.purpose, s.channel;

-- name: chain
SELECT c.happened_at, c.known_at, c.purpose, c.channel, c.act, c.wording_version AS text_version, c.address_mark, c.ip, c.source,
       coalesce(e.overwritten, false) AS overwritten
FROM person p
JOIN shop.consent_chain c ON c.customer_id = p.id
LEFT JOIN shop.consent_event e ON e.source_key = c.source
ORDER BY c.purpose, c.channel, c.act, c.source;

-- name: texts
SELECT version AS text_version, language, valid_from, valid_to, controller, body FROM shop.consent_text;
