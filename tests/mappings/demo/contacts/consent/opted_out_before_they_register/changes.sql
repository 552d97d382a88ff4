UPDATE customers SET email = 'Later@example.com' WHERE id = 1;
INSERT INTO customers (id, email, full_name) VALUES (2, 'new@example.com', 'Ewa Lis');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES
(20, 2, 'post', 'T', '2020-01-01', NULL, 'v2', NULL);
