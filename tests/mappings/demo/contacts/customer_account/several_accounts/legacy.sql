INSERT INTO customers (id, email, full_name, active, deleted, last_login) VALUES
    (1, 'anna@example.com', 'Anna Nowak', 'T', 'N', '2024-01-01'),
    (2, 'ANNA@example.com ', 'A. Nowak', 'T', 'N', '2023-01-01'),
    (3, 'jan@example.com', 'Jan Nowak', 'T', 'N', '2024-01-01'),
    (4, 'anna@example.com', 'Anna Nowak', 'T', 'T', '2024-01-01'),
    (5, 'no address', 'Ewa Lis', 'T', 'N', '2024-01-01');
