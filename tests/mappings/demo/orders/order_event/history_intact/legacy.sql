INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES (100, 'Z/100', 1, 'a@example.com', 'DONE', 100.00, 'PLN', 'BLIK', 'INPOST', 10, '2020-01-15 12:00');
INSERT INTO order_status_log (id, order_id, status_code, changed_by, note, changed_at) VALUES (1, 100, 'NEW', 'system', NULL, '2020-01-15 12:00'), (2, 100, '2', 'anna', 'zap&#322;acone', '2020-07-15 12:00'), (3, 100, 'sent', '', NULL, '2020-07-16 12:00');
