INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak'), (2, 'b@example.com', 'Ewa Lis');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES
(10, 1, 'email', 'T', '2020-01-15 12:00', '10.0.0.1', 'v2', NULL), (11, 1, 'sms', 'T', '2020-01-15 12:00', NULL, 'v3', NULL),
(12, 2, 'email', 'T', '2020-01-15 12:00', NULL, 'v2', '2021-02-03 12:00');
