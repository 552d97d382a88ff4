UPDATE customers SET full_name = 'Igor Lis' WHERE id = 2;
UPDATE orders SET note = 'x' WHERE id = 3;
