INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES 
(10, 1, 'email', 'T', '2015-01-01', NULL, 'v1', '2016-01-01'), (11, 1, 'sms', 'T', '2015-01-01', NULL, 'v1', '2016-01-01'), (12, 1, 'sms', 'T', '2017-01-01', NULL, NULL, NULL);
