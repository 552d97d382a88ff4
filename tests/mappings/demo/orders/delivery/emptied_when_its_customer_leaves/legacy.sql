INSERT INTO customers (id, email, full_name, deleted) VALUES (1, 'a@example.com', 'Anna Nowak', 'N'), (2, 'b@example.com', 'Bogdan Lis', 'T'),
(3, 'c@example.com', 'Celina Kos', 'N'), (4, 'd@example.com', 'Dorota Sowa', 'y');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, created_at, note, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone) VALUES
(100, 'Z/100', 1, 'a@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'kod 1234, insulina', 'Osoba', 'Krótka 5/7', '00950', 'Warszawa', 'Polska', '601 234 567'),
(101, 'Z/101', 2, 'b@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'kod 1234, insulina', 'Osoba', 'Krótka 5/7', '00-950', 'Warszawa', 'Polska', '601 234 567'),
(102, 'Z/102', 3, 'c@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'kod 1234, insulina', 'Osoba', 'Krótka 5/7', 'D-10115', 'Warszawa', 'Niemcy', 'brak'),
(103, 'Z/103', 4, 'd@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'kod 1234, insulina', 'Osoba', 'Krótka 5/7', '12-34', 'Warszawa', 'PL', NULL),
(104, 'Z/104', 2, 'b@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'kod 1234, insulina', 'Osoba', 'Krótka 5/7', NULL, 'Warszawa', 'Jugosławia', NULL);
