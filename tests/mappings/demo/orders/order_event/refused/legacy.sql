INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(101, 'Z/101', 99, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO order_status_log (id, order_id, status_code, changed_by, note, changed_at) VALUES (1, 100, 'X9', NULL, NULL, '2020-01-15'), (2, 100, 'NEW', NULL, NULL, NULL), (3, 100, 'NEW', NULL, NULL, '2120-01-15'), (4, 101, 'NEW', NULL, NULL, '2020-01-15'), (5, 999, 'NEW', NULL, NULL, '2020-01-15');
