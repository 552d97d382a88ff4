INSERT INTO customers (id, email, full_name, phone, bill_country) VALUES
(1, 'ewa@example.com', 'Ewa Nowak', '601 234 567', 'PL'), (2, 'jan@example.com', 'Jan Lis', NULL, NULL);
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, ship_name, ship_phone,
                    created_at) VALUES
(1, 'A-1', 0, 'EWA@example.com', 'NEW', 1, 'PLN', 'CARD', 'DPD', 'E. Nowakowa', NULL, '2020-01-01'),
(2, 'A-2', 0, 'ewa@example.com', 'NEW', 1, 'PLN', 'CARD', 'DPD', 'Firma', '+48 601-234-567', '2020-01-01'),
(3, 'A-3', 0, 'ewa@example.com', 'NEW', 1, 'PLN', 'CARD', 'DPD', 'Adam Obcy', '602 000 111', '2020-01-01'),
(4, 'A-4', 0, 'ewa@example.com', 'NEW', 1, 'PLN', 'CARD', 'DPD', NULL, NULL, '2020-01-01'),
(5, 'A-5', 0, 'nobody@example.com', 'NEW', 1, 'PLN', 'CARD', 'DPD', 'Adam Obcy', NULL, '2020-01-01'),
(6, 'A-6', 0, 'jan@example.com', 'NEW', 1, 'PLN', 'CARD', 'DPD', 'Igor Wilk', NULL, '2020-01-01');
