-- 1 is on no list; who is on it comes later: 2 registers, and 1 changes to an address that is on it.
INSERT INTO customers (id, email, full_name) VALUES (1, 'a@example.com', 'Anna Nowak');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES
(10, 1, 'email', 'T', '2020-01-01', NULL, 'v2', NULL);
