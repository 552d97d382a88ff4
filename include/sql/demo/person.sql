-- identity: customer
-- What belongs to one person, in each store: docs/howto/requests.md. Runs in psql, query by query, in the store that its name
-- begins with. `… person` and `… guests` are given CREATE TEMP TABLE asked (value text, email text, phone text), what somebody
-- typed and what the libraries made of it; the others are given CREATE TEMP TABLE person (id …) with that store's keys of the person, and
-- their_<table> of each query above them. Each yields the primary key of its table.

-- name: legacy.person
SELECT c.id, c.full_name AS called
FROM customers c
JOIN asked a ON lower(btrim(c.email)) = a.email OR regexp_replace(c.phone, '\D', '', 'g') LIKE '%' || right(a.phone, 9);

-- name: legacy.guests
-- Rows of who has no account, by the e-mail or number that they gave.
SELECT 'orders' AS "table", o.id, o.ship_name AS called FROM orders o
JOIN asked a ON lower(btrim(o.email)) = a.email OR regexp_replace(o.ship_phone, '\D', '', 'g') LIKE '%' || right(a.phone, 9)
WHERE coalesce(o.customer_id, 0) <= 0
UNION ALL
SELECT 'consents', s.id, NULL FROM consents s JOIN asked a ON lower(btrim(s.email)) = a.email
WHERE coalesce(s.customer_id, 0) <= 0;

-- name: legacy.obstacles
SELECT 'order ' || o.number || ' is under way' AS what FROM orders o JOIN their_orders t ON t.id = o.id
WHERE o.status_code IN ('NEW', 'PAID', 'SENT')
UNION ALL
SELECT 'card ' || l.id || ' has ' || l.points || ' points' FROM loyalty_accounts l JOIN person p ON p.id = l.customer_id
WHERE l.points > 0
UNION ALL
SELECT 'reward ' || r.id || ' was not taken' FROM loyalty_rewards r JOIN person p ON p.id = r.customer_id
WHERE upper(btrim(coalesce(r.state, ''))) IN ('', 'O') AND r.taken_at IS NULL;

-- name: legacy.customers
SELECT id FROM person;

-- name: legacy.addresses
SELECT a.id FROM addresses a JOIN person p ON p.id = a.customer_id;

-- name: legacy.consents
SELECT s.id FROM consents s JOIN person p ON p.id = s.customer_id
UNION
SELECT s.id FROM consents s
WHERE coalesce(s.customer_id, 0) <= 0
  AND lower(btrim(s.email)) IN (SELECT lower(btrim(c.email)) FROM customers c JOIN person USING (id) WHERE c.email LIKE '%@%');

-- name: legacy.orders
-- Those of the account, and those that were placed with its e-mail and without signing in.
SELECT o.id FROM orders o JOIN person p ON p.id = o.customer_id
UNION
SELECT o.id FROM orders o
WHERE coalesce(o.customer_id, 0) <= 0
  AND lower(btrim(o.email)) IN (SELECT lower(btrim(c.email)) FROM customers c JOIN person USING (id) WHERE c.email LIKE '%@%');

-- name: legacy.order_items
SELECT i.id FROM order_items i JOIN their_orders o ON o.id = i.order_id;

-- name: legacy.order_status_log
SELECT l.id FROM order_status_log l JOIN their_orders o ON o.id = l.order_id;

-- name: legacy.order_invoices
SELECT v.id FROM order_invoices v JOIN their_orders o ON o.id = v.order_id;

-- name: legacy.loyalty_accounts
SELECT l.id FROM loyalty_accounts l JOIN person p ON p.id = l.customer_id;

-- name: legacy.loyalty_log
SELECT l.id FROM loyalty_log l JOIN their_loyalty_accounts a ON a.id = l.account_id;

-- name: legacy.loyalty_redemptions
SELECT l.id FROM loyalty_redemptions l JOIN their_loyalty_accounts a ON a.id = l.account_id;

-- name: legacy.loyalty_rewards
SELECT r.id FROM loyalty_rewards r JOIN person p ON p.id = r.customer_id;

-- name: shop.person
SELECT c.id, concat_ws(' ', c.given_name, c.family_name) AS called
FROM shop.customer c JOIN asked a ON c.email = a.email OR c.phone = a.phone;

-- name: shop.guests
SELECT 'customer_order' AS "table", o.id, d.recipient AS called FROM shop.customer_order o
LEFT JOIN shop.delivery d ON d.order_id = o.id
JOIN asked a ON o.guest_email = a.email OR d.phone = a.phone
WHERE o.customer_id IS NULL;

-- name: shop.obstacles
SELECT 'order ' || o.number || ' is under way' AS what FROM shop.customer_order o JOIN their_customer_order t ON t.id = o.id
WHERE o.status IN ('pending', 'paid', 'shipped')
UNION ALL
SELECT 'card ' || l.id || ' has ' || l.balance || ' points' FROM shop.loyalty_account l JOIN person p ON p.id = l.customer_id
WHERE l.balance > 0
UNION ALL
SELECT 'reward ' || r.id || ' was not taken' FROM shop.loyalty_reward r JOIN person p ON p.id = r.customer_id
WHERE r.state = 'open' AND (r.valid_until >= current_date) IS NOT FALSE;

-- name: shop.derived
SELECT 'may be written to by ' || a.channel || ' for ' || a.purpose || CASE a.basis WHEN 'consent' THEN ', by consent' ELSE ', as a customer' END
FROM shop.audience a JOIN person p ON p.id = a.customer_id;

-- name: shop.customer
SELECT id FROM person;

-- name: shop.customer_account
SELECT a.legacy_customer_id FROM shop.customer_account a JOIN person p ON p.id = a.customer_id;

-- name: shop.customer_address
SELECT a.id FROM shop.customer_address a JOIN person p ON p.id = a.customer_id;

-- name: shop.customer_credential
SELECT c.customer_id FROM shop.customer_credential c JOIN person p ON p.id = c.customer_id;

-- name: shop.consent
SELECT s.id FROM shop.consent s JOIN person p ON p.id = s.customer_id;

-- name: shop.consent_event
SELECT e.source_key FROM shop.consent_event e JOIN person p ON p.id = e.customer_id;

-- name: shop.consent_act
SELECT e.id FROM shop.consent_act e JOIN person p ON p.id = e.customer_id;

-- name: shop.communication_preference
SELECT w.customer_id, w.channel FROM shop.communication_preference w JOIN person p ON p.id = w.customer_id;

-- name: shop.customer_profile
SELECT f.customer_id FROM shop.customer_profile f JOIN person p ON p.id = f.customer_id;

-- name: shop.customer_segment
SELECT g.customer_id, g.scheme FROM shop.customer_segment g JOIN person p ON p.id = g.customer_id;

-- name: shop.customer_order
SELECT o.id FROM shop.customer_order o JOIN person p ON p.id = o.customer_id
UNION
SELECT o.id FROM shop.customer_order o JOIN shop.customer c ON o.guest_email = c.email JOIN person p ON p.id = c.id;

-- name: shop.order_line
SELECT l.id FROM shop.order_line l JOIN their_customer_order o ON o.id = l.order_id;

-- name: shop.order_line_withheld
SELECT l.id FROM shop.order_line_withheld l JOIN their_customer_order o ON o.id = l.order_id;

-- name: shop.payment
SELECT y.order_id FROM shop.payment y JOIN their_customer_order o ON o.id = y.order_id;

-- name: shop.order_event
SELECT e.id FROM shop.order_event e JOIN their_customer_order o ON o.id = e.order_id;

-- name: shop.order_invoice
SELECT v.id FROM shop.order_invoice v JOIN their_customer_order o ON o.id = v.order_id;

-- name: shop.delivery
SELECT d.order_id FROM shop.delivery d JOIN their_customer_order o ON o.id = d.order_id;

-- name: shop.loyalty_account
SELECT l.id FROM shop.loyalty_account l JOIN person p ON p.id = l.customer_id;

-- name: shop.loyalty_entry
SELECT l.id FROM shop.loyalty_entry l JOIN their_loyalty_account a ON a.id = l.account_id;

-- name: shop.loyalty_redemption
SELECT l.id FROM shop.loyalty_redemption l JOIN their_loyalty_account a ON a.id = l.account_id;

-- name: shop.loyalty_reward
SELECT r.id FROM shop.loyalty_reward r JOIN person p ON p.id = r.customer_id;
