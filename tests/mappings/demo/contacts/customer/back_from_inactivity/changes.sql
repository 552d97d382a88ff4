UPDATE customers SET last_login = '2026-01-01' WHERE id = 1;
INSERT INTO customers (id, email, full_name, created_at) VALUES (10, 'B@example.com', 'Beata Lis', '2026-01-01');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, created_at) VALUES (102, 'Z/102', 0, 'c@example.com', 'DONE', 10, 'PLN', '2026-01-15');
UPDATE orders SET status_code = 'DONE' WHERE id = 100;
UPDATE loyalty_accounts SET points = 0 WHERE id = 1;
UPDATE orders SET status_code = 'RET' WHERE id = 101;
INSERT INTO consents (id, customer_id, channel, granted, granted_at) VALUES (1, 7, 'email', 'N', '2026-01-01');
INSERT INTO consents (id, customer_id, email, channel, granted, granted_at) VALUES (2, 0, 'H@example.com', 'sms', 'T', '2026-01-01');
INSERT INTO loyalty_redemptions (id, account_id, reward, points, created_at) VALUES (1, 2, 'Kubek', 5, '2026-01-01');
