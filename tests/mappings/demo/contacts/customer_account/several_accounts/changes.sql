UPDATE customers SET email = 'jan@example.com' WHERE id = 2;
