UPDATE customers SET last_login = '2026-01-01' WHERE id = 2;
