INSERT INTO customers (id, email, full_name, deleted) VALUES (1, 'a@example.com', 'Anna Nowak', 'N'), (2, 'b@example.com', 'Bogdan Lis', 'T'), (3, 'brak', 'Jan Lis', 'N');
INSERT INTO loyalty_rewards (id, customer_id, reward, points, earned_at, valid_until, taken_at, state) VALUES
(1, 1, '', 0, NULL, NULL, NULL, '?'), (2, 1, 'Kubek', 5, '2020-01-15', NULL, '2020-01-16', 'O'),
(3, 1, 'Kubek', -2147483648, '1970-01-01', NULL, NULL, 'O'), (4, 1, 'Kubek', 5, '2020-01-15', NULL, 'infinity', 'W'),
(5, 1, 'Kubek', 5, '2020-01-15', 'koniec roku', NULL, 'O'), (6, 1, 'Kubek', 5, '2020-01-15', '2019-12-31', NULL, 'O'),
(7, 99, 'Kubek', 5, '2020-01-15', NULL, NULL, 'O'), (8, 3, 'Kubek', 5, '2020-01-15', NULL, NULL, 'O'),
(9, 2, '', NULL, NULL, NULL, NULL, '?'), (10, 1, 'Kubek', NULL, '2020-01-15', '01.01.1970', NULL, 'O');
