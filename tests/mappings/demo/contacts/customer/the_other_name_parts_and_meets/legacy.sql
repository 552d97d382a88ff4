INSERT INTO customers (id, email, full_name, created_at) VALUES
(1, 'ewa@example.com', 'Ewa Nowak', '2012-01-01'), (2, 'EWA@example.com', 'Zły Człowiek', '2024-06-01'),
(3, 'jan@example.com', 'Jan Lis', '2012-01-01'), (4, 'JAN@example.com', 'Jan Lis', '2024-06-01'),
(5, 'ola@example.com', 'Ola Lis', '2012-01-01'), (6, 'OLA@example.com', 'Iga Sowa', '2014-06-01');
