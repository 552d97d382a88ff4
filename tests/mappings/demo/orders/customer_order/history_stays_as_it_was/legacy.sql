INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', '5', 100.00, 'zł', 'BLIK', 'INPOST', 10, '2020-10-25 02:30'),
(101, 'Z/101', 1, 'a@example.com', ' done ', 30.0078, 'eur', 'BLIK', 'INPOST', NULL, '2020-01-15 12:00');
INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) VALUES (1, 100, 'A', 'Kubek', 2, 40, 23, 80), (2, 101, 'A', 'Kubek', 1, 30, 23, 30);
