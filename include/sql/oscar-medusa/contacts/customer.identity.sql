-- identity: customer
-- sequence: clean.person_number
-- text:     clean.make_id('cus', shop_key)
-- source:   legacy.auth_user(id)
-- standardize: email legacy.auth_user (email)
-- Accounts with one e-mail are one customer: Oscar lets several have it, Medusa one. Staff and accounts without a usable e-mail
-- stay alone, and the cluster says why. An account without an e-mail that may not sign in is what is left of one: its owner was
-- erased, or has gone.
SELECT u.id AS legacy_key,
       CASE WHEN u.is_staff OR u.is_superuser THEN '#' || u.id || ' staff'
            WHEN btrim(u.email) = '' AND NOT u.is_active THEN '#' || u.id || ' deleted'
            WHEN e.value IS NULL THEN '#' || u.id || ' unusable'
            ELSE e.value END AS cluster
FROM affected a
JOIN legacy.auth_user u ON u.id = a.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = u.email;

