UPDATE customers SET deleted = 'T' WHERE id = 3;
