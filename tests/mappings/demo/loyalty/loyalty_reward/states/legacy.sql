INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'A@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO loyalty_rewards (id, customer_id, code, reward, points, earned_at, valid_until, taken_at, state, order_id) VALUES
(1, 1, ' R-1 ', 'Bon 20 z&#322;', 20, '2020-01-15 12:00', '31.12.2030', NULL, 'O', 0),
(2, 2, NULL, 'Kubek', -20, '2020-01-15 12:00', '0000-00-00', '2020-02-15 12:00', 'w', 100),
(3, 1, '', 'Kubek', 20, '2020-01-15 12:00', NULL, NULL, NULL, 999),
(4, 1, NULL, 'Kubek', 20, '2020-01-15 12:00', '2099-12-31', '2020-02-15 12:00', ' ', 0),
(5, 1, NULL, 'Kubek', 20, '2020-01-15 12:00', '2020-01-15', NULL, 'X', NULL),
(6, 1, NULL, 'Kubek', 20, '2020-01-15 12:00', NULL, NULL, 'A', 0),
(7, 1, NULL, 'Kubek', 20, '2020-01-15 12:00', NULL, NULL, 'W', 0);
