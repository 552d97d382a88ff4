INSERT INTO customers (id, email, full_name, deleted) VALUES (1, 'a@example.com', 'Anna Nowak', 'N'), (2, 'b@example.com', 'Bogdan Lis', 'T'), (3, 'c@example.com', 'Celina Kos', 'N');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, created_at, ship_name) VALUES
(100, 'Z/100', 1, NULL, 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'Osoba');
INSERT INTO order_invoices (id, order_id, number, buyer_name, buyer_street, buyer_postcode, buyer_city, buyer_country, tax_number, total, currency, issued_at) VALUES
(1, 100, ' FV/1 ', 'ANNA NOWAK', 'ul. Krótka 5/7', '00950', 'ĹĂłdĹş', 'Polska', 'NIP: 526-000-12-46', '10.005', 'zł', '2020-12-31 23:59'),
(2, 100, 'FV/1', 'Lis Sp. z o.o.', NULL, 'brak', NULL, NULL, '526-000-12-47', '10.00', 'PLN', '2021-01-01 00:00'),
(3, 100, 'FV/3', 'Popescu SRL', 'Str. Lungă 1', '010011', 'București', 'România', 'RO 18547290', '12', 'EUR', '2024-07-01 10:00'),
(4, 100, 'FV/4', 'Rossi S.r.l.', 'Via Roma 1', '20121', 'Milano', 'IT', 'IT00743110157', '12', 'EUR', '2024-07-01 10:00'),
(5, 100, 'FV/5', 'Müller GmbH', 'Hauptstr. 1', 'D-10115', 'Berlin', 'Niemcy', 'DE 136695976', '12', 'EUR', '2024-07-01 10:00');
