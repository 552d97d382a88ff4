INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES (10, 1, NULL, 5, '', NULL);
INSERT INTO loyalty_redemptions (id, account_id, order_id, reward, points, status, created_at) VALUES (1, 10, 100, 'Bon 20 z&#322;', 20, 'done', '2020-01-15 12:00'), (2, 10, 999, 'Kubek', -20, 'C', '2020-01-15 12:00');
