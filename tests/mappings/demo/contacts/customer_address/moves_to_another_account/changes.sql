UPDATE addresses SET customer_id = 2 WHERE id = 10; DELETE FROM addresses WHERE id = 11; UPDATE customers SET email = 'c@example.com' WHERE id = 3;
