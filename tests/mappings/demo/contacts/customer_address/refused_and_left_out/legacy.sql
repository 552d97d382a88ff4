INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'brak', 'Jan Lis');
INSERT INTO customers (id, email, full_name, deleted) VALUES (3, 'c@example.com', 'Cezary Lis', 'T');
INSERT INTO addresses (id, customer_id, street, postcode, country, deleted) VALUES
(10, 1, 'A 1', '00-950', 'Jugosławia', 'N'), (11, 1, 'A 1', '123', 'PL', 'N'), (12, 1, NULL, '00-950', 'PL', 'N'),
(13, 1, 'A 1', '00-950', 'PL', 'T'), (14, 2, 'A 1', NULL, NULL, 'N'), (15, 3, 'A 1', NULL, NULL, 'N'), (16, 99, 'A 1', NULL, NULL, 'N');
