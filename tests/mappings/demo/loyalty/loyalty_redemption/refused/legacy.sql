INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES (10, 1, NULL, 5, '', NULL), (11, 1, NULL, -5, '', NULL);
INSERT INTO loyalty_redemptions (id, account_id, order_id, reward, points, status, created_at) VALUES (1, 10, 0, '', 20, 'done', '2020-01-15'), (2, 10, 0, 'Kubek', 0, '?', NULL), (3, 11, 0, 'Kubek', 5, 'OK', '2020-01-15'), (4, 99, 0, 'Kubek', 5, 'OK', '2020-01-15'), (5, 10, 0, 'Kubek', -2147483648, 'OK', '2020-01-15');
