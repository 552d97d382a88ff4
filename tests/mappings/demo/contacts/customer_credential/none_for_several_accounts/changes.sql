UPDATE customers SET last_login = '2025-01-01' WHERE id = 2;
INSERT INTO customers (id, email, full_name, pass_hash, created_at) VALUES (4, 'JAN@example.com', 'Jan Lis', repeat('d', 32), '2024-01-01');
