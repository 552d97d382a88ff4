UPDATE orders SET status_code = 'DONE' WHERE id = 100;
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, created_at, ship_name) VALUES
(200, 'Z/200', 1, NULL, 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2020-01-15 12:00', 'Osoba');
