INSERT INTO customers (id, email, full_name, bill_street, bill_city, bill_postcode, bill_country) VALUES
(1, 'a@example.com', 'Anna Nowak', 'ul. Długa 5', 'Warszawa', '00-950', 'PL'), (2, 'A@example.com', 'Anna Nowak', NULL, NULL, NULL, NULL);
INSERT INTO addresses (id, customer_id, street, city) VALUES (10, 1, 'A 1', 'Kraków'), (11, 2, 'B 1', 'Łódź');
