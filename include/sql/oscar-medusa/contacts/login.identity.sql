-- identity: login
-- sequence: clean.person_number
-- text:     clean.make_id('authid', shop_key)
-- source:   identity.customer(legacy_key)
-- What a customer logs in with has an id of its own in Medusa: the same accounts, another text.
SELECT i.legacy_key, i.cluster
FROM affected a
JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = a.key;
