INSERT INTO customers (id, email, full_name) VALUES
(1, 'ala@example.com', 'Ala Nowak'), (2, 'jan@example.com', 'Jan Lis');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(11, 1, 'all', 'N', '2024-01-01', 'v1', NULL), (12, 1, 'email', 'T', '2019-01-01', 'v1', NULL),
(13, 1, 'sms', 'T', NULL, NULL, NULL), (14, 1, 'post', 'T', '2025-01-01', 'v2', NULL), (15, 2, 'email', 'T', '2019-01-01', 'v1', NULL);
