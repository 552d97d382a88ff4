INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(101, 'Z/101', 1, 'a@example.com', 'NEW', 100.00, 'PLN', 'karta', 'INPOST', 10, '2020-01-15 12:00'),
(102, 'Z/102', 1, 'a@example.com', 'CANC', 100.00, 'PLN', 'COD', 'INPOST', 10, '2020-01-15 12:00'),
(103, 'Z/103', 1, 'a@example.com', '8', 100.00, 'PLN', 'P24', 'INPOST', 10, '2020-01-15 12:00'),
(104, 'Z/104', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'XYZ', 'INPOST', 10, '2020-01-15 12:00'),
(105, 'Z/105', 1, 'a@example.com', '?', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
