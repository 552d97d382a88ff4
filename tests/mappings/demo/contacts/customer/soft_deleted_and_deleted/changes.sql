UPDATE customers SET deleted = 'T' WHERE id = 1; DELETE FROM customers WHERE id = 2;
