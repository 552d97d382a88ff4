INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'A@example.com', 'Anna Nowak'), (3, 'brak', 'Jan Lis');
INSERT INTO customers (id, email, full_name, deleted) VALUES (4, 'd@example.com', 'Ewa Lis', 'T');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES 
(10, 1, '29', 5, 'Gold', '2020-01-15 12:00'), (11, 2, NULL, NULL, 'srebrny', NULL), (12, 3, NULL, 0, '', NULL), (13, 4, NULL, 0, 'x', NULL),
(14, 99, NULL, 0, '', NULL), (15, 1, NULL, 0, 'DIAMOND', NULL), (16, 1, NULL, -5, '', NULL);
