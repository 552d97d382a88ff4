INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'brak', 'Jan Lis');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 2, 'a@example.com', '??', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO loyalty_rewards (id, customer_id, reward, points, earned_at, taken_at, state, order_id) VALUES
(1, 1, 'Kubek', 5, '2020-01-15', NULL, 'O', 0), (2, 2, 'Kubek', 5, '2020-01-15', '2020-01-16', 'W', 100);
