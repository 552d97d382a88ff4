UPDATE customers SET last_login = '2022-01-01' WHERE id = 1;
