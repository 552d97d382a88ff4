INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, status_code, total, currency, payment_code, delivery_code, created_at, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone) VALUES (100, 'Z1', 1, 'SENT', 1, 'PLN', 'BLIK', 'INPOST', '2020-01-15', 'Anna Nowak', 'ul. Długa 5', '00950', 'Warszawa', 'Polska', '601 234 567'),
(101, 'Z2', 1, 'DONE', 1, 'PLN', 'BLIK', 'dpd', '2020-01-15', 'Anna Nowak', 'ul. Długa 5', '12-34', 'Warszawa', 'Jugosławia', 'brak'),
(102, 'Z3', 1, 'DONE', 1, 'PLN', 'BLIK', 'GOŁĄB', '2020-01-15', NULL, NULL, NULL, NULL, NULL, NULL);
