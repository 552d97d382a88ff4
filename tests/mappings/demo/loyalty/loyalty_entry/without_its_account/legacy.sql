INSERT INTO customers (id, email, full_name) VALUES (1, 'brak', 'Jan Lis');
INSERT INTO customers (id, email, full_name, deleted) VALUES (2, 'b@example.com', 'Ewa Lis', 'T');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES (10, 1, NULL, 50, '', NULL), (11, 2, NULL, 50, '', NULL);
INSERT INTO loyalty_log (id, account_id, kind, points, order_id, note, created_at) VALUES (1, 10, 'E', 80, 0, NULL, '2012-01-15'), (2, 11, '?', 30, 0, NULL, '2012-02-15'), (3, 99, 'E', NULL, 0, NULL, NULL);
