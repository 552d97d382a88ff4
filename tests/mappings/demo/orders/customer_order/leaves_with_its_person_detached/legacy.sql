INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(101, 'Z/101', 0, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(102, 'Z/102', 2, 'b@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO customers (id, email, full_name) VALUES (2, 'b@example.com', 'Jan Lis');
UPDATE orders SET ship_name = 'Anna Nowak' WHERE id = 101;
