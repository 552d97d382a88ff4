INSERT INTO promotions (id, code, kind, value, currency, min_order, valid_from, valid_to, used) VALUES
(1, ' ', '?', NULL, NULL, 0, NULL, NULL, 0), (2, 'B', 'P', 'NaN', NULL, 0, NULL, NULL, 0), (3, 'C', 'P', 0.004, NULL, 0, NULL, NULL, 0),
(4, 'D', 'P', 101, NULL, 0, NULL, NULL, 0), (5, 'E', 'K', 10, '$', 0, NULL, NULL, 0), (6, 'F', 'P', 10, NULL, 50, NULL, NULL, 0),
(7, 'G', 'P', 10, NULL, 0, '31.02.2020', 'do odwołania', 0), (8, 'H', 'P', 10, NULL, 0, '2020-02-01', '2020-01-31', -1),
(9, 'I', 'P', 10, 'PLN', 'NaN', NULL, '1970-01-01', 0);
