INSERT INTO customers (id, email, full_name, pass_hash) VALUES
(11, 'a@example.com', 'A B', 'haslo123'), (12, 'b@example.com', 'A B', NULL);
SELECT setval('customers_id_seq', 100);
