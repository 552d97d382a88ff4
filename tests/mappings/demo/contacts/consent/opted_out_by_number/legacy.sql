-- The register knows numbers: of 1 and 2 the same one, of 3 another.
INSERT INTO customers (id, email, full_name, phone, bill_country) VALUES
(1, 'a@example.com', 'Anna Nowak', '601 234 567', 'PL'), (2, 'b@example.com', 'Ewa Lis', '+48601234567', NULL), (3, 'c@example.com', 'Jan Wilk', '602345678', 'PL');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES
(10, 1, 'phone', 'T', '2020-01-01', NULL, 'v2', NULL), (11, 1, 'sms', 'T', '2020-01-01', NULL, 'v2', NULL),
(20, 2, 'phone', 'T', '2020-01-01', NULL, 'v2', NULL), (30, 3, 'phone', 'T', '2020-01-01', NULL, 'v2', NULL);
