INSERT INTO customers (id, login, email, full_name, pass_hash, salt) VALUES
(1, 'jan', 'a@example.com', 'A B', '6B006BA67F3C172E146991A2AD46D865', NULL),
(2, NULL, 'b@example.com', 'A B', '6b006ba67f3c172e146991a2ad46d865:ab', NULL),
(3, NULL, 'c@example.com', 'A B', 'e9aa1fed0f5c85e84ef9c9e8860c2732326e790b', 'vkmQqxNw'),
(4, NULL, 'd@example.com', 'A B', '$P$B' || repeat('x', 30), NULL),
(5, NULL, 'e@example.com', 'A B', '$2y$10$' || repeat('x', 53), NULL),
(6, NULL, 'f@example.com', 'A B', '$wp$2y$10$' || repeat('x', 53), NULL),
(7, NULL, 'g@example.com', 'A B', '$argon2id$v=19$m=65536,t=4,p=1$xx$yy', NULL),
(8, NULL, 'h@example.com', 'A B', 'e9aa1fed0f5c85e84ef9c9e8860c2732326e790b', NULL);
