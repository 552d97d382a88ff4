-- check:    every address of the address book leads somewhere: a street or a town, in a known country
-- severity: error
-- phase:    contacts
-- target:   shop.customer_address
-- remedy:   correct the address in the legacy store; the stream carries it over
-- Billing addresses are kept with what they lack; that is noted beside the customer.
SELECT coalesce(d.source_key, d.id::text) AS key,
       CASE WHEN d.country_code IS NULL THEN 'no country' ELSE 'neither street nor town' END AS found
FROM shop.customer_address d
WHERE NOT d.is_billing
  AND (d.country_code IS NULL OR (btrim(coalesce(d.street, '')) = '' AND btrim(coalesce(d.city, '')) = ''));
