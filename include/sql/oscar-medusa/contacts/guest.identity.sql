-- identity: guest
-- sequence: clean.person_number
-- text:     clean.make_id('cus', shop_key)
-- source:   legacy.order_order(id)
-- standardize: email legacy.order_order (guest_email)
-- All orders of guests with one e-mail are one guest: Medusa has room for one. A guest with the e-mail of an account stays a guest,
-- for an e-mail that was typed proves nothing.
SELECT o.id AS legacy_key, e.value AS cluster
FROM affected a
JOIN legacy.order_order o ON o.id = a.key
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = o.guest_email AND e.value IS NOT NULL
WHERE o.user_id IS NULL;
