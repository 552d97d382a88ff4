UPDATE customers SET email = ' PARA@example.com' WHERE id = 8;
UPDATE customers SET last_login = '2025-01-01' WHERE id = 4;
