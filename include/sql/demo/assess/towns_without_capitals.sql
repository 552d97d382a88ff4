-- finding: towns written without capitals and without diacritics
-- subject: legacy addresses.city
-- severity: note
-- consequence: they arrive as they are: nothing is guessed about a town's name
-- remedy: have them looked up by postcode, before or after the move
SELECT d.id::text AS key, d.city AS example
FROM addresses d
WHERE d.city ~ '[a-z]' AND d.city = lower(d.city) AND octet_length(d.city) = char_length(d.city)
ORDER BY d.id;
