INSERT INTO customers (id, email, full_name, phone, bill_country, created_at) VALUES
(1, 'l@example.com', E'\u0139\u0081ukasz \u0139\u009awi\u00c4\u0099ty', 'brak', 'PL', '2099-01-01'),
(2, 'm@example.com', 'Mi&oacute;d', '0171 2345678', 'Niemcy', '2021-03-28 02:30'),
(3, 'n@example.com', 'mgr ŻANETA ŻÓŁĆ-NOWAK', '601234567, 602345678', NULL, '0001-01-01');
