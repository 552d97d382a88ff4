INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'b@example.com', 'Beata Lis'), (3, 'c@example.com', 'Cezary Lis');
