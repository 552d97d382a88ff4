-- check:    every customer can be reached by e-mail
-- severity: error
-- phase:    contacts
-- target:   shop.customer
-- remedy:   correct the address in the legacy store; the stream carries it over
-- Stricter than the table's own constraint: one @, no blanks, a domain of at least two parts, lengths that mail allows.
SELECT c.id::text AS key,
       CASE WHEN length(c.email) > 254 OR length(split_part(c.email, '@', 1)) > 64 THEN 'too long' ELSE 'no address' END AS found
FROM shop.customer c
WHERE c.email !~ '^[^@[:space:]]+@[^@[:space:].]+(\.[^@[:space:].]+)+$'
   OR length(c.email) > 254
   OR length(split_part(c.email, '@', 1)) > 64;
