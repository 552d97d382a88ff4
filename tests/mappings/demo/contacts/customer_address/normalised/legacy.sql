INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO addresses (id, customer_id, full_name, street, postcode, city, country, phone, is_default, created_at) VALUES
(10, 1, 'Anna Nowak', 'ul. Długa 5', '00950', 'Warszawa', 'Polska', '601-234-567', 'T', '2020-01-15 12:00'),
(11, 1, 'Anna Nowak', 'Hauptstr. 1', '1067', 'Dresden', 'Deutschland', NULL, 'N', NULL),
(12, 1, 'Anna Nowak', 'ul. Krótka 1', NULL, E'\u0139\u0081\u0102\u0142d\u0139\u015f', '', NULL, 'N', NULL);
