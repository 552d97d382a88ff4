-- finding: customers whose login is not their e-mail
-- subject: legacy customers.login
-- severity: note
-- consequence: the e-mail becomes the sign-in name; the old login is accepted beside it (shop.customer_credential)
-- remedy: see that the new sign-in form takes both
SELECT c.id::text AS key, c.login AS example
FROM customers c
WHERE btrim(c.login) <> '' AND lower(btrim(c.login)) IS DISTINCT FROM lower(btrim(c.email))
ORDER BY c.id;
