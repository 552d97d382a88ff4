-- destination: csv
-- purpose: marketing
-- channel: sms
-- recipient: The SMS gateway's operator
-- owner: Marketing
-- schedule: by hand, before each campaign by SMS
-- Numbers, and the name to begin with.
SELECT c.id AS customer_id, c.phone, c.given_name
FROM shop.customer c
WHERE c.phone IS NOT NULL;
