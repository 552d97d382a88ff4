INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'A@example.com', 'Anna Nowak'), (3, 'brak', 'Jan Lis');
INSERT INTO customers (id, email, full_name, deleted) VALUES (4, 'd@example.com', 'Ewa Lis', 'T');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(101, 'Z/101', 2, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(102, 'Z/102', 0, ' A@EXAMPLE.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(103, 'Z/103', NULL, 'gosc@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(104, 'Z/104', 3, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(105, 'Z/105', 4, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(106, 'Z/106', 99, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(107, 'Z/107', NULL, 'gosc(at)example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(108, 'Z/108', 0, '', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
UPDATE orders SET ship_name = 'Anna Nowak' WHERE id = 102;
