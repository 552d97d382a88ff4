INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'A@example.com', 'Anna Nowak'), (3, 'c@example.com', 'Anna Lis');
