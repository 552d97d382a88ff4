UPDATE customers SET full_name = 'Ewa Czlowiek' WHERE id = 1;
UPDATE customers SET full_name = 'Adam Zając' WHERE id = 3;
UPDATE customers SET deleted = 'T' WHERE id = 5;
