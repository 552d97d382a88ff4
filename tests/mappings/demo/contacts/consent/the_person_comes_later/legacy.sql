INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES (10, 7, 'email', 'T', '2015-01-01', NULL, 'v1', NULL);
