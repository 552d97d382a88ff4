INSERT INTO customers (id, email, full_name, created_at, last_login) VALUES
    (1, 'a@example.com', 'Anna Nowak', '2010-01-01', '2015-01-01'), (2, 'b@example.com', 'Beata Lis', '2010-01-01', NULL),
    (3, 'c@example.com', 'Celina Kos', '2010-01-01', NULL), (4, 'd@example.com', 'Dorota Sowa', '2010-01-01', NULL),
    (5, 'e@example.com', 'Ewa Zych', '2010-01-01', NULL), (6, 'f@example.com', 'Fela Dąb', '2010-01-01', NULL),
    (7, 'g@example.com', 'Gaja Kot', '2010-01-01', NULL), (8, 'h@example.com', 'Hela Ryś', '2010-01-01', NULL),
    (9, 'i@example.com', 'Iga Bąk', '2010-01-01', NULL);
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, created_at) VALUES
    (100, 'Z/100', 4, 'd@example.com', 'SENT', 10, 'PLN', '2012-01-15'), (101, 'Z/101', 6, 'f@example.com', 'DONE', 10, 'PLN', '2012-01-15');
INSERT INTO loyalty_accounts (id, customer_id, points, created_at) VALUES (1, 5, 5, '2012-01-01'), (2, 9, 0, '2012-01-01');
