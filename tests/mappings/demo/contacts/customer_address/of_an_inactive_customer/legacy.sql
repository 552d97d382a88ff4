INSERT INTO customers (id, email, full_name, bill_street, bill_city, created_at) VALUES (1, 'a@example.com', 'Anna Nowak', 'Krótka 1', 'Łódź', '2010-01-01');
INSERT INTO addresses (id, customer_id, street, city, postcode, country) VALUES (11, 1, 'Krótka 2', 'Kraków', '30-001', 'PL');
