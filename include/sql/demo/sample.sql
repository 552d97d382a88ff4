-- What a rehearsal takes of the legacy store: some customers, with all that belongs to them.
-- Runs in psql, query by query, in the legacy store: `kin` and what follows given CREATE TEMP TABLE chosen (id bigint), and the
-- queries after orders and loyalty_accounts given sample_orders and sample_loyalty_accounts, made from their queries.
-- The grammar is in docs/howto/rehearse.md; personal.txt says what testers see of each column.

-- name: everybody
-- As many of these as are asked for are chosen at random.
SELECT id FROM customers;

-- name: odd
-- Customers who show what else goes wrong; a few of each reason are chosen. Some of them do not exist any more.
SELECT id, 'deleted' AS reason FROM customers WHERE upper(deleted) IN ('T', 'Y', '1')
UNION ALL
SELECT id, 'blocked' FROM customers WHERE upper(active) IN ('N', '0')
UNION ALL
SELECT id, 'no e-mail' FROM customers WHERE email !~ '^[^@]+@[^@]+[.][^@]+$' IS NOT FALSE
UNION ALL
SELECT id, 'one of several accounts'
FROM (SELECT id, count(*) OVER (PARTITION BY lower(replace(email, ' ', ''))) AS accounts FROM customers) c
WHERE accounts > 1
UNION ALL
SELECT id, 'long name' FROM customers WHERE length(full_name) > 100
UNION ALL
SELECT id, 'broken text' FROM customers WHERE full_name ~ '[ÃĂÄĹÅ\\]|&[#a-z0-9]+;'
UNION ALL
SELECT id, 'no true date' FROM customers WHERE created_at IS NULL OR created_at < '1995-01-01' OR created_at >= '2035-01-01'
UNION ALL
SELECT id, 'no known password' FROM customers WHERE pass_hash !~ '^[$0-9a-fA-F]' IS NOT FALSE
UNION ALL
SELECT customer_id, 'address without customer' FROM addresses a
WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = a.customer_id)
UNION ALL
SELECT customer_id, 'consent without customer' FROM consents s
WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = s.customer_id)
UNION ALL
SELECT customer_id, 'withdrawn' FROM consents WHERE withdrawn_at IS NOT NULL
UNION ALL
SELECT customer_id, 'consent without proof' FROM consents WHERE granted_at IS NULL OR wording IS NULL
UNION ALL
SELECT customer_id, 'order without customer' FROM orders o
WHERE customer_id > 0 AND NOT EXISTS (SELECT FROM customers c WHERE c.id = o.customer_id)
UNION ALL
SELECT customer_id, 'rare status' FROM orders
WHERE customer_id > 0 AND status_code IN (SELECT status_code FROM orders GROUP BY 1 ORDER BY count(*) LIMIT 5)
UNION ALL
SELECT customer_id, 'rare currency' FROM orders
WHERE customer_id > 0 AND currency IN (SELECT currency FROM orders GROUP BY 1 ORDER BY count(*) LIMIT 5)
UNION ALL
SELECT customer_id, 'order without true date' FROM orders
WHERE customer_id > 0 AND (created_at IS NULL OR created_at < '1995-01-01' OR created_at >= '2035-01-01')
UNION ALL
(SELECT customer_id, 'many orders' FROM orders WHERE customer_id > 0 GROUP BY 1 ORDER BY count(*) DESC LIMIT 5)
UNION ALL
SELECT customer_id, 'card without customer' FROM loyalty_accounts l
WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = l.customer_id)
UNION ALL
SELECT customer_id, 'points below zero' FROM loyalty_accounts WHERE points < 0
UNION ALL
SELECT customer_id, 'rare tier' FROM loyalty_accounts
WHERE tier IN (SELECT tier FROM loyalty_accounts GROUP BY 1 ORDER BY count(*) LIMIT 3)
UNION ALL
SELECT l.customer_id, 'points differ from log'
FROM loyalty_accounts l
JOIN (SELECT account_id, sum(CASE WHEN upper(kind) = 'E' THEN abs(points) ELSE -abs(points) END) AS points
      FROM loyalty_log GROUP BY 1) g ON g.account_id = l.id
WHERE l.points <> g.points
UNION ALL
SELECT customer_id, 'reward without customer' FROM loyalty_rewards r
WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = r.customer_id)
UNION ALL
SELECT customer_id, 'reward that was not taken' FROM loyalty_rewards WHERE coalesce(state, 'O') IN ('O', 'o') AND taken_at IS NULL
UNION ALL
SELECT id, 'wants no news' FROM customers WHERE lower(btrim(news_frequency)) IN ('never', 'nigdy', '0', 'n');

-- name: kin
-- The other accounts of whoever is chosen.
SELECT c.id
FROM customers c
WHERE lower(replace(c.email, ' ', '')) IN (SELECT lower(replace(k.email, ' ', '')) FROM customers k JOIN chosen USING (id)
                                          WHERE k.email LIKE '%@%');

-- name: customers
SELECT id FROM customers WHERE id IN (SELECT id FROM chosen);

-- name: addresses
SELECT id FROM addresses WHERE customer_id IN (SELECT id FROM chosen);

-- name: consents
SELECT id FROM consents WHERE customer_id IN (SELECT id FROM chosen);

-- name: consent_texts
-- All of them: what a consent is worth depends on its text.
SELECT id FROM consent_texts;

-- name: orders
-- Those of the chosen, with or without having signed in, and a few of guests whom nobody knows.
SELECT id FROM orders WHERE customer_id IN (SELECT id FROM chosen)
UNION
SELECT id FROM orders
WHERE coalesce(customer_id, 0) <= 0
  AND lower(replace(email, ' ', '')) IN (SELECT lower(replace(email, ' ', '')) FROM customers JOIN chosen USING (id))
UNION
(SELECT id FROM orders WHERE coalesce(customer_id, 0) <= 0 ORDER BY id DESC LIMIT 50);

-- name: order_items
SELECT id FROM order_items WHERE order_id IN (SELECT id FROM sample_orders)
UNION
(SELECT t.id FROM order_items t WHERE NOT EXISTS (SELECT FROM orders p WHERE p.id = t.order_id) ORDER BY t.id LIMIT 20);

-- name: order_status_log
SELECT id FROM order_status_log WHERE order_id IN (SELECT id FROM sample_orders)
UNION
(SELECT t.id FROM order_status_log t WHERE NOT EXISTS (SELECT FROM orders p WHERE p.id = t.order_id) ORDER BY t.id LIMIT 20);

-- name: order_invoices
SELECT id FROM order_invoices WHERE order_id IN (SELECT id FROM sample_orders)
UNION
(SELECT t.id FROM order_invoices t WHERE NOT EXISTS (SELECT FROM orders p WHERE p.id = t.order_id) ORDER BY t.id LIMIT 20);

-- name: loyalty_accounts
SELECT id FROM loyalty_accounts WHERE customer_id IN (SELECT id FROM chosen);

-- name: loyalty_log
SELECT id FROM loyalty_log WHERE account_id IN (SELECT id FROM sample_loyalty_accounts)
UNION
(SELECT t.id FROM loyalty_log t WHERE NOT EXISTS (SELECT FROM loyalty_accounts p WHERE p.id = t.account_id) ORDER BY t.id LIMIT 20);

-- name: loyalty_redemptions
SELECT id FROM loyalty_redemptions WHERE account_id IN (SELECT id FROM sample_loyalty_accounts)
UNION
(SELECT t.id FROM loyalty_redemptions t WHERE NOT EXISTS (SELECT FROM loyalty_accounts p WHERE p.id = t.account_id) ORDER BY t.id LIMIT 20);

-- name: loyalty_rewards
SELECT id FROM loyalty_rewards WHERE customer_id IN (SELECT id FROM chosen);

-- name: promotions
-- All of them: they are of nobody.
SELECT id FROM promotions;
