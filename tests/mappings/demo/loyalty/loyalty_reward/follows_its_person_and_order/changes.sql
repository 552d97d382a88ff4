UPDATE customers SET deleted = 'T' WHERE id = 1; UPDATE customers SET email = 'b@example.com' WHERE id = 2; UPDATE orders SET status_code = 'DONE';
