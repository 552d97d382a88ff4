-- destination: mailchimp
-- purpose: newsletter
-- channel: email
-- recipient: The Rocket Science Group LLC (Mailchimp), Atlanta
-- owner: Marketing
-- schedule: daily at 6
-- Subscribers of the newsletter. Mailchimp takes 255 bytes a field, and a list wants no more than it prints.
SELECT c.id AS customer_id,
       c.email AS "Email Address",
       left(c.given_name, 60) AS "First Name",
       left(c.family_name, 60) AS "Last Name"
FROM shop.customer c;
