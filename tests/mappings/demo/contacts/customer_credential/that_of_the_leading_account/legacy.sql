INSERT INTO customers (id, email, full_name, pass_hash, last_login) VALUES
(1, 'a@example.com', 'A B', repeat('a', 32), '2010-01-01'), (2, 'A@example.com', 'A B', repeat('b', 32), '2011-01-01');
