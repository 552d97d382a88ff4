INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES (13, 1, 'email', 'T', '2018-01-01', NULL, 'v2', NULL);
