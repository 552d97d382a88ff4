INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'A@example.com', 'Anna Nowak');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES 
(10, 1, 'email', 'T', '2021-01-01', NULL, 'v2', NULL), (11, 2, 'email', 'T', '2015-01-01', NULL, 'v1', NULL);
