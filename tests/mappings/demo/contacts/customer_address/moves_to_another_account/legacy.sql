INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'b@example.com', 'Jan Lis'), (3, 'brak', 'Ewa Lis');
INSERT INTO addresses (id, customer_id, street) VALUES (10, 1, 'A 1'), (11, 1, 'A 2'), (12, 3, 'C 1');
