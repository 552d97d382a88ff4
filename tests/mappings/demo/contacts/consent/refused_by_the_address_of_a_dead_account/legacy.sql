INSERT INTO customers (id, email, full_name, deleted, created_at) VALUES
(1, 'ala@example.com', 'Ala Nowak', 'T', '2010-01-01'), (2, 'ALA@example.com', 'Ala Nowak', 'N', '2012-01-01'),
(3, 'ewa@example.com', 'Ewa ' || repeat('Nowak', 45), 'N', '2010-01-01'), (4, 'ewa@example.com ', 'Ewa Nowak', 'N', '2012-01-01'),
(5, 'iga@example.com', 'Iga Sowa', 'N', '2010-01-01'), (6, 'IGA@example.com', 'Jan Lis', 'N', '2012-01-01');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(11, 1, 'email', 'N', '2024-01-01', 'v2', NULL), (12, 2, 'email', 'T', '2019-01-01', 'v1', NULL),
(13, 3, 'email', 'T', '2015-01-01', 'v1', '2023-05-01'), (14, 4, 'email', 'T', '2024-01-01', 'v1', NULL),
(15, 5, 'email', 'T', '2015-01-01', 'v1', NULL), (16, 6, 'email', 'N', '2016-01-01', 'v1', NULL);
