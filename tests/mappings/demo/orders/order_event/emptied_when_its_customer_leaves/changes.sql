UPDATE customers SET deleted = 'T' WHERE id = 3; UPDATE customers SET deleted = 'N' WHERE id = 4;
