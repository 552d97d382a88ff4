INSERT INTO customers (id, email, full_name) VALUES (7, 'a@example.com', 'Anna Nowak');
