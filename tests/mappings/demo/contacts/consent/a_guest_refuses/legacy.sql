INSERT INTO customers (id, email, full_name) VALUES (1, 'ala@example.com', 'Ala Nowak'), (2, 'jan@example.com', 'Jan Lis');
INSERT INTO consents (id, customer_id, email, channel, granted, granted_at, wording) VALUES
(11, 1, NULL, 'email', 'T', '2019-01-01', 'v1'), (12, 0, 'Ala@example.com', 'email', 'N', '2024-01-01', 'v1'),
(13, 0, 'jan@example.com', 'email', 'T', '2024-01-01', 'v1'), (14, 0, NULL, 'email', 'N', '2024-01-01', 'v1'),
(15, 2, NULL, 'email', 'T', '2019-01-01', 'v1');
