INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'TEST', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(101, 'Z/101', 1, 'a@example.com', 'DONE', 100.00, '', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(102, 'Z/102', 1, 'a@example.com', 'DONE', NULL, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(103, 'Z/103', 1, 'a@example.com', 'DONE', -1, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(104, 'Z/104', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2099-01-01'),
(105, 'Z/105', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, NULL),
(106, '', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(107, 'Z/107', 1, 'a@example.com', '?', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '0001-01-01'),
(108, 'Z/108', 1, 'a@example.com', 'DONE', 'NaN', 'PLN', 'BLIK', 'INPOST', 10, '-infinity'),
(109, 'Z/109', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 'NaN', 'infinity');
