INSERT INTO customers (id, email, full_name, deleted) VALUES (1, 'a@example.com', 'Anna Nowak', 'N'), (2, 'b@example.com', 'Bogdan Lis', 'T'), (3, 'c@example.com', 'Celina Kos', 'N');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, created_at, ship_name) VALUES
(100, 'Z/100', 1, NULL, 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'Osoba'),
(101, 'Z/101', 1, NULL, '??', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'Osoba');
INSERT INTO order_invoices (id, order_id, number, buyer_name, buyer_street, buyer_postcode, buyer_city, buyer_country, tax_number, total, currency, issued_at) VALUES
(1, 999, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', '2020-03-01 10:00'),
(2, 101, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', '2020-03-01 10:00'),
(3, 100, ' ', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', '2020-03-01 10:00'),
(4, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, NULL, 'PLN', '2020-03-01 10:00'),
(5, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, 'NaN', 'PLN', '2020-03-01 10:00'),
(6, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '-1', 'PLN', '2020-03-01 10:00'),
(7, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', '$', '2020-03-01 10:00'),
(8, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', NULL),
(9, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', '1900-01-01'),
(10, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', '2120-03-01'),
(11, 100, 'FV', 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, '10', 'PLN', 'infinity'),
(12, 0, NULL, 'Anna Nowak', NULL, NULL, NULL, 'PL', NULL, NULL, NULL, NULL);
