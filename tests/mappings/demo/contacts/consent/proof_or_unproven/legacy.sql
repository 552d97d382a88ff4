INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES 
(10, 1, 'email', 'T', '2020-01-15 12:00', '10.0.0.1', 'v2', NULL), (11, 1, 'S', 'T', NULL, NULL, 'v2', NULL),
(12, 1, 'tel', 'T', '2020-01-15 12:00', NULL, NULL, NULL), (13, 1, 'post', 'T', '2099-01-01', NULL, 'v2', NULL);
