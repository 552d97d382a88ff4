-- 5 gets the address of 4: then 3 and 5 would be one person through 4, and are decided not to be.
UPDATE customers SET email = 'ola@example.com', full_name = 'Ola Wilk' WHERE id = 5;
