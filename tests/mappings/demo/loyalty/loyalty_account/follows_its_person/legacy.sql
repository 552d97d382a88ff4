INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'brak', 'Jan Lis');
INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES (10, 1, NULL, 0, '', NULL), (11, 2, NULL, 0, '', NULL);
