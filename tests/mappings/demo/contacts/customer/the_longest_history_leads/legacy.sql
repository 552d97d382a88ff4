INSERT INTO customers (id, email, full_name, active, created_at, last_login) VALUES
(1, 'ewa@example.com', 'Ewa Nowak-Lis', 'T', '2024-01-01', '2025-01-01'),
(2, 'EWA@example.com', 'Ewa Nowak', 'T', '2010-01-01', '2011-01-01'),
(3, 'Ewa@example.com', 'E. Nowak', 'N', '2009-01-01', NULL),
(4, 'ewa@example.com.', 'Ewa Nowakowska', 'T', '2099-01-01', '2025-06-01');
