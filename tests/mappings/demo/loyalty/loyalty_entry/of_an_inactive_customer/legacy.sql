INSERT INTO customers (id, email, full_name, created_at) VALUES (1, 'a@example.com', 'Anna Nowak', '2010-01-01'), (2, 'b@example.com', 'Beata Lis', '2010-01-01');
INSERT INTO loyalty_accounts (id, customer_id, points, created_at) VALUES (1, 1, 0, '2012-01-01'), (2, 2, 0, '2012-01-01');
INSERT INTO loyalty_log (id, account_id, kind, points, created_at) VALUES (1, 1, 'E', 5, '2012-01-01'), (2, 1, 'X', 5, '2013-01-01'), (3, 2, 'E', 5, '2012-01-01');
INSERT INTO loyalty_redemptions (id, account_id, reward, points, created_at) VALUES (1, 1, 'Kubek', 5, '2013-01-01');
