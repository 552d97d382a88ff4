INSERT INTO customers (id, email, full_name, created_at, last_login) VALUES
(3, 'ewa@example.com', 'Ewa Nowak', '2012-01-01', '2013-01-01'),
(4, 'ewa@example.com ', 'Zły Człowiek', '2024-06-01', '2024-06-02'),
(5, 'Ewa@example.com', NULL, '2014-01-01', NULL),
(6, 'para@example.com', 'Jan Kowalski', '2011-01-01', NULL),
(7, 'para@example.com ', 'Anna Kowalska', '2013-01-01', NULL),
(8, 'inna@example.com', 'Ola Zając', '2013-01-01', NULL);
