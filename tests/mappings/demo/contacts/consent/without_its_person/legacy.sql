INSERT INTO customers (id, email, full_name) VALUES (1, 'brak', 'Anna Nowak');
INSERT INTO customers (id, email, full_name, deleted) VALUES (2, 'b@example.com', 'Jan Lis', 'T');
INSERT INTO customers (id, email, full_name) VALUES (3, 'c@example.com', 'Ewa Lis');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES 
(10, 1, 'email', 'T', '2015-01-01', NULL, 'v1', NULL), (11, 2, 'email', 'T', '2015-01-01', NULL, 'v1', NULL), (12, 99, 'email', 'T', '2015-01-01', NULL, 'v1', NULL), (13, 3, 'fax', 'T', '2015-01-01', NULL, 'v1', NULL);
