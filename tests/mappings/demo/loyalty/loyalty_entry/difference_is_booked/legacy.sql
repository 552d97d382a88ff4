INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES (10, 1, NULL, 50, '', '2010-01-01'), (11, 1, NULL, 7, '', '2010-01-01'), (12, 1, NULL, 5, '', NULL);
INSERT INTO loyalty_log (id, account_id, kind, points, order_id, note, created_at) VALUES (1, 10, 'E', 80, 0, NULL, '2012-01-15'), (2, 10, '?', 30, 0, NULL, '2012-02-15'), (3, 12, 'E', 5, 0, NULL, '2012-01-15');
