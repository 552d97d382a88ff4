INSERT INTO customers (id, email, full_name, phone, active, last_login, created_at) VALUES
(1, 'Jan@Example.com', 'Jan Kowalski', '601234567', 'T', '2015-01-01', '2010-01-01'),
(2, ' jan@example.com ', 'KOWALSKI, JAN', NULL, 'T', '2019-01-01', '2012-01-01'),
(3, 'JAN@EXAMPLE.COM', 'Jan Kowalski', '602345678', 'N', '2022-01-01', '2014-01-01');
