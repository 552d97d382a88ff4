UPDATE customers SET phone = '602 234 567' WHERE id = 2;
