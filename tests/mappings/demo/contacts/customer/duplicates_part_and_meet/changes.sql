UPDATE customers SET email = 'C@Example.com' WHERE id = 2;
