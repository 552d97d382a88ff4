INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Jan Lis');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES (10, 1, NULL, 50, '', '2012-01-01');
INSERT INTO loyalty_log (id, account_id, kind, points, order_id, note, created_at) VALUES (1, 10, 'E', 80, 0, NULL, '2012-01-15'), (2, 10, 'S', -2147483648, 0, NULL, '2012-02-15'), (3, 10, 'E', 2147483647, 0, NULL, '2012-03-15');
