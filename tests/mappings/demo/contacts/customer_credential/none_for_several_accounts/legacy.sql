INSERT INTO customers (id, email, full_name, pass_hash, created_at, last_login) VALUES
(1, 'ewa@example.com', 'Ewa Nowak', repeat('a', 32), '2012-01-01', '2019-01-01'),
(2, 'ewa@example.com ', 'Ewa Nowak', repeat('b', 32), '2024-06-01', '2024-06-02'),
(3, 'jan@example.com', 'Jan Lis', repeat('c', 32), '2015-01-01', NULL);
