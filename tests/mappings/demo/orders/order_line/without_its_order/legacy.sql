INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', '?', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00'),
(101, 'Z/101', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) VALUES (1, 100, 'A', 'Kubek', 1, 1, 23, 1), (2, 999, 'A', 'Kubek', 1, 1, 23, 1), (3, 101, 'A', 'Kubek', 0, 1, 23, 1), (4, 101, NULL, ' ', 1, NULL, 23, 1),
(5, 101, 'A', 'Kubek', 1, 1, 23, 'NaN'), (6, 101, 'A', 'Kubek', 1, 'NaN', 23, 1);
